"""Validating a crate without the network, which the validator wants for the crate's context."""

from __future__ import annotations

import json
from pathlib import Path

import requests
from rocrate_validator import models, services
from rocrate_validator.utils import http

#: What version 1.1 of the context maps otherwise than to schema.org; the rest of it is a list of
#: schema.org's names at version 10.
_ELSEWHERE = {
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "File": "http://schema.org/MediaObject",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
}
_SCHEMA = (
    "CompletedActionStatus ComputerLanguage CreateAction CreativeWork Dataset HowTo HowToStep"
    " Organization PropertyValue SoftwareApplication SoftwareSourceCode about actionStatus"
    " additionalProperty additionalType alternateName author contentSize datePublished description"
    " encodingFormat exampleOfWork hasPart identifier instrument license mainEntity mentions name"
    " object position programmingLanguage publisher result softwareRequirements softwareVersion"
    " step url value valueRequired version workExample"
)
CONTEXT = {**{name: f"http://schema.org/{name}" for name in _SCHEMA.split()}, **_ELSEWHERE}


def issues(folder: Path, profile: str, monkeypatch, severity: str = "REQUIRED") -> list[str]:
    """What the validator finds wrong, a line each; a term that the context lacks is wrong, too."""

    def get(self, url: str, **_) -> requests.Response:
        answer = requests.Response()
        answer.url, answer.status_code, answer._content = url, 504, b""
        if url == "https://w3id.org/ro/crate/1.1/context":
            answer.status_code = 200
            answer.headers["Content-Type"] = "application/ld+json"
            answer._content = json.dumps({"@context": CONTEXT}).encode()
        return answer

    monkeypatch.setattr(http.HttpRequester, "get", get, raising=False)
    settings = services.ValidationSettings(
        rocrate_uri=str(folder),
        profile_identifier=profile,
        requirement_severity=models.Severity[severity],
        no_cache=True,
    )
    result = services.validate(settings)
    return [f"{issue.check.identifier}: {issue.message}" for issue in result.get_issues()]
