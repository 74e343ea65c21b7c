"""A run as a research object: what stands in its folder, and what made it, as an RO-Crate.

The profile is Provenance Run Crate: the workflow, its rules as steps, one action for every stamp,
and every file with its SHA-256. All that is said of a file is read from the stamp inside it, so the
crate holds no time, host or absolute path, and the same results give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import yaml

from finitewidth import __version__
from finitewidth.core.files import make_way, replacing, sha256
from finitewidth.core.places import DEFAULT, RESULTS
from finitewidth.provenance.artifacts import BESIDE, ArtifactError, read_stamp
from finitewidth.provenance.code import PACKAGE, PACKAGES
from finitewidth.provenance.digests import OWN, canonical

#: What a crate is called, in the folder that it describes.
CRATE = "ro-crate-metadata.json"
#: What a snapshot of the code holds: all that running it again needs.
CODE = (
    "Snakefile", "workflow", "config", "config.yaml", "envs", "Makefile", "pyproject.toml",
    "setup.py", "README.md", "CITATION.cff", "LICENSE",
)  # fmt: skip
NOT_CODE = ("__pycache__", "*.pyc", "*.egg-info", ".*", "_checkout")
_PROFILES = (
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/provenance/0.5", "Provenance Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
)
_LANGUAGE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
_BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_FORMATS = {
    ".nc": "application/netcdf", ".md": "text/markdown", ".yaml": "application/yaml",
    ".tex": "text/x-tex", ".py": "text/x-python", ".smk": "text/x-snakemake",
    ".parquet": "application/vnd.apache.parquet",
}  # fmt: skip
#: Files of measured times, which no two runs agree on.
_TIMES = "seconds.nc"


def copy_code(source: Path, target: Path) -> None:
    """Copy the code that ran into ``target``, which is made anew.

    ``source`` is a checkout, or what was fetched of one beside a library that is installed.
    """
    make_way(target)
    shutil.rmtree(target, ignore_errors=True)
    ignore = shutil.ignore_patterns(*NOT_CODE)
    for name in CODE:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, ignore=ignore)
        elif (source / name).is_file():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)
    for name in PACKAGES:
        # Installed, or beside rules that were fetched, they do not stand in the source.
        library, there = target / "workflow" / name, PACKAGE.parent / name
        if there.is_dir() and not library.exists():
            shutil.copytree(there, library, ignore=ignore)


def write_crate(
    results: Path,
    files: Iterable[str],
    *,
    config: str,
    extensions: Iterable[str] = (),
    code: str = "code",
    run: str = DEFAULT,
    on_file: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write ``ro-crate-metadata.json`` into ``results``, the folder of a run.

    Parameters
    ----------
    files
        The results, as stamps name them, wherever the folder of the run stands.
    config
        The config of the run, alike.
    extensions
        Files of the extensions that it used, alike.
    code
        The folder below ``results`` with a copy of the code.
    run
        What the run is called.

    Raises
    ------
    ArtifactError
        Where a file cannot be read, or is not the one that another was made from.
    """
    crate = _Crate(results, config, code, run, sorted(extensions))
    paths = sorted(set(files))
    for done, path in enumerate(paths):
        on_file(done, len(paths))
        crate.add_result(path)
    text = json.dumps(crate.metadata(), indent=1, sort_keys=True, ensure_ascii=False)
    with replacing(results / CRATE) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


class _Crate:
    """Entities gathered file by file; :meth:`metadata` puts them together."""

    def __init__(self, results: Path, config: str, code: str, run: str, extensions: Sequence[str]):
        self.results, self.config, self.code, self.run = results, config, code, run
        self.extensions = extensions
        self.sha256: dict[str, str] = {}
        self.stamps: dict[str, dict] = {}
        self.entities: dict[str, dict] = {}

    def add_result(self, path: str) -> None:
        self.sha256[path] = sha256(self._file(path))
        # What was downloaded is not ours to stamp: its SHA-256 stands in the config.
        if "downloads" not in Path(path).parts:
            stamp = read_stamp(self._file(path))
            # What is written together has one stamp, but for each file's own digest.
            self.stamps[path] = {k: v for k, v in stamp.items() if k != OWN}

    def metadata(self) -> dict:
        """The crate as JSON-LD; built by ro-crate-py."""
        from rocrate.rocrate import ROCrate

        self._check()
        actions = self._actions()
        software = self._add_code()
        parts = [self._add_file(path) for path in sorted(self.sha256)]
        parts += [self._add_file(self.config, about="The whole config of the run")]
        about = "Of an extension: code of somebody's own that the run used"
        parts += [self._add_file(path, about=about) for path in self.extensions]
        whole = self._add_run(actions)
        crate = ROCrate(gen_preview=False, version="1.1")
        # A term of schema.org that version 1.1 of the context lacks.
        crate.metadata.extra_terms["sha256"] = "http://schema.org/sha256"
        for key, value in self._root(parts + software, [whole, *actions]).items():
            crate.root_dataset[key] = value
        conforms = ["https://w3id.org/ro/crate/1.1", _PROFILES[-1][0]]
        crate.metadata["conformsTo"] = [{"@id": name} for name in conforms]
        for name in sorted(self.entities):
            crate.add_jsonld({"@id": name, **self.entities[name]})
        return crate.metadata.generate()

    def _check(self) -> None:
        """A crate must not say that a file was made from another when that one is gone."""
        for path, stamp in self.stamps.items():
            for source, digest in stamp["inputs"].items():
                if source in self.sha256 and self.sha256[source] != digest:
                    raise ArtifactError(
                        f"{path} was made from another {source} than the one that stands there:"
                        f" remove {path} and run again"
                    )

    def _varies(self, path: str) -> bool:
        """Whether a file differs from run to run: it holds times, or was made from them."""
        sources = self.stamps.get(path, {}).get("inputs", {})
        return any(Path(p).name == _TIMES for p in (path, *sources))

    # What each method adds is named by its @id, which it returns.

    def _add(self, name: str, kind: str | list[str], /, **properties: object) -> str:
        self.entities[name] = {"@type": kind, **{k: v for k, v in properties.items() if v != []}}
        return name

    def _id(self, path: str) -> str:
        """The @id of a file of results: its path below them, as a URL."""
        return quote(str(Path(path).relative_to(RESULTS)))

    def _file(self, path: str) -> Path:
        return self.results / Path(path).relative_to(RESULTS)

    def _add_file(self, path: str, about: str | None = None) -> str:
        name = self._id(path)
        properties: dict = {"name": name.rpartition("/")[2], **_encoding(path)}
        if about:
            properties["description"] = about
        if self._varies(path):
            properties["description"] = "Holds measured times: no two runs give the same bytes"
        else:
            file = self._file(path)
            properties["sha256"] = self.sha256.get(path) or sha256(file)
            properties["contentSize"] = str(file.stat().st_size)
        if path == self.config:
            properties["exampleOfWork"] = {"@id": "#config"}
        return self._add(name, "File", **properties)

    def _actions(self) -> list[str]:
        """One action for every stamp, whatever files it stands in."""
        made: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self.stamps):
            made[canonical(self.stamps[path])].append(path)
        names = []
        for text, paths in made.items():
            stamp = json.loads(text)
            about = ", ".join(f"{k} {v}" for k, v in sorted(stamp["wildcards"].items()))
            facts = {
                "code": canonical(stamp["code"]),
                "config_sha256": stamp["config_sha256"],
                "device": stamp["device"],
                "packages": canonical(stamp["packages"]),
            }
            names.append(
                self._add(
                    f"#action-{_short(canonical([stamp['rule'], stamp['wildcards'], paths]))}",
                    "CreateAction",
                    name=f"{stamp['rule']} {about}".strip(),
                    description=f"Rule {stamp['rule']}, {about or 'no wildcards'}",
                    instrument={"@id": self._tool(stamp["rule"])},
                    actionStatus="http://schema.org/CompletedActionStatus",
                    object=_links(self._source(p, d) for p, d in sorted(stamp["inputs"].items())),
                    result=_links(self._id(path) for path in paths),
                    additionalProperty=_links(self._fact(k, v) for k, v in facts.items()),
                )
            )
        return names

    def _fact(self, name: str, value: str) -> str:
        about = {
            "code": "SHA-256 of the code's syntax trees, git commit and version",
            "config_sha256": "SHA-256 of the part of the config that the files depend on",
            "device": "what it was computed on",
            "packages": "versions of the packages that the code imports",
        }[name]
        return self._add(
            f"#{name}-{_short(value)}", "PropertyValue", name=name, value=value, description=about
        )

    def _source(self, path: str, digest: str) -> str:
        """What an action read: a file of results, a member's networks, or a file of the user's."""
        if path in self.sha256:
            return self._id(path)
        shards = [p for p in self.sha256 if p.startswith(f"{path}/")]
        if shards:
            return self._add(
                self._id(path) + "/",
                "Dataset",
                name="samples",
                description=f"Networks, the same for any division into files: SHA-256 {digest}",
                hasPart=_links(map(self._id, sorted(shards))),
            )
        return self._add(
            f"#outside-{digest[:16]}",
            "CreativeWork",
            name=Path(path).name,
            description=f"A file outside the results: SHA-256 {digest}",
            identifier=digest,
        )

    def _tool(self, rule: str) -> str:
        script = "figures" if rule == "figure" else rule
        return quote(f"{self.code}/workflow/scripts/{script}.py")

    def _add_code(self) -> list[str]:
        """The files of the code, the workflow with its steps, and the software beneath it."""
        folder = self.results / self.code
        names = []
        for file in sorted(p for p in folder.rglob("*") if p.is_file() and p.name[0] != "."):
            path = f"{RESULTS}/{file.relative_to(self.results)}"
            names.append(
                self._add(self._id(path), "File", name=file.name, sha256=sha256(file),
                          contentSize=str(file.stat().st_size), **_encoding(path))
            )  # fmt: skip
        main = self._id(f"{RESULTS}/{self.code}/workflow/Snakefile")
        rules = sorted({stamp["rule"] for stamp in self.stamps.values()})
        steps = []
        for position, rule in enumerate(rules, start=1):
            tool = self._tool(rule)
            self.entities[tool] |= {
                "@type": ["File", "SoftwareSourceCode"],
                "name": f"rule {rule}",
                "version": __version__,
                "programmingLanguage": {"@id": "#python"},
                "softwareRequirements": _links(self._packages(rule)),
            }
            steps.append(
                self._add(f"#step-{rule}", "HowToStep", name=rule, position=str(position),
                          workExample={"@id": tool})
            )  # fmt: skip
        self._add("#python", "ComputerLanguage", name="Python", url="https://www.python.org/")
        self._add(_LANGUAGE, "ComputerLanguage", name="Snakemake", alternateName="Snakemake",
                  url={"@id": "https://snakemake.readthedocs.io"},
                  identifier={"@id": "https://doi.org/10.1093/bioinformatics/bts480"})  # fmt: skip
        self._add("#config", "FormalParameter", name="config", additionalType="File",
                  description="A study file", valueRequired=True,
                  workExample={"@id": self._id(self.config)})  # fmt: skip
        self.entities[main] |= {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "name": "finitewidth",
            "version": __version__,
            "programmingLanguage": {"@id": _LANGUAGE},
            "conformsTo": {"@id": _BIOSCHEMAS},
            "hasPart": _links(sorted({self._tool(rule) for rule in rules})),
            "step": _links(steps),
            "input": {"@id": "#config"},
        }
        self._add(_BIOSCHEMAS, "CreativeWork", name="Bioschemas ComputationalWorkflow",
                  version="1.0-RELEASE")  # fmt: skip
        self._add(self._id(f"{RESULTS}/{self.code}") + "/", "Dataset",
                  name="code", description="The code that ran", hasPart=_links(names))  # fmt: skip
        return names

    def _packages(self, rule: str) -> list[str]:
        """The software that a rule's files were computed with, version by version."""
        versions = {
            item
            for stamp in self.stamps.values()
            if stamp["rule"] == rule
            for item in stamp["packages"].items()
        }
        return [
            self._add(_home(name, version), "SoftwareApplication", name=name,
                      softwareVersion=version, url=_home(name, version))
            for name, version in sorted(versions)
        ]  # fmt: skip

    def _add_run(self, actions: list[str]) -> str:
        """The run as a whole: from the config to the tables and figures."""
        finals = [p for p in sorted(self.sha256) if Path(p).parts[1:2] == ("studies",)]
        return self._add(
            "#run",
            "CreateAction",
            name="The run of the workflow",
            description="From the config to the tables and figures of every study",
            instrument={"@id": self._id(f"{RESULTS}/{self.code}/workflow/Snakefile")},
            actionStatus="http://schema.org/CompletedActionStatus",
            object={"@id": self._id(self.config)},
            result=_links(self._id(path) for path in finals or sorted(self.sha256)),
        )

    def _root(self, parts: list[str], actions: list[str]) -> dict:
        citation = yaml.safe_load((self.results / self.code / "CITATION.cff").read_text("utf-8"))
        licence = f"https://spdx.org/licenses/{citation['license']}.html"
        self._add(licence, "CreativeWork", name=citation["license"],
                  description=f"The {citation['license']} licence")  # fmt: skip
        for name, title, version in _PROFILES:
            self._add(name, "CreativeWork", name=title, version=version)
        self._add("#authors", "Organization", name=citation["authors"][0]["name"])
        samples = [n for n, e in self.entities.items() if e["@type"] == "Dataset"]
        return {
            "name": "Results of finitewidth" + ("" if self.run == DEFAULT else f", run {self.run}"),
            "description": citation["title"],
            # Of the software: that of the run would differ from run to run.
            "datePublished": str(citation["date-released"]),
            "license": {"@id": licence},
            "author": {"@id": "#authors"},
            "publisher": {"@id": "#authors"},
            "conformsTo": _links(name for name, _, _ in _PROFILES),
            "mainEntity": {"@id": self._id(f"{RESULTS}/{self.code}/workflow/Snakefile")},
            "hasPart": _links(sorted({*parts, *samples})),
            "mentions": _links(actions),
        }


def _links(names: Iterable[str]) -> dict | list[dict]:
    """References as RO-Crate wants them: a list, but one alone as it is."""
    links = [{"@id": name} for name in names]
    return links[0] if len(links) == 1 else links


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _encoding(path: str) -> Mapping[str, str]:
    if path.endswith(f".csv{BESIDE}"):
        return {"encodingFormat": "application/csvm+json"}
    kind = _FORMATS.get(Path(path).suffix) or mimetypes.guess_type(path)[0]
    return {"encodingFormat": kind or "text/plain"}


def _home(package: str, version: str) -> str:
    if package == "python":
        return f"https://www.python.org/downloads/release/python-{version.replace('.', '')}/"
    # What stands behind a plus is a build of the same version, such as one for CPUs alone.
    return f"https://pypi.org/project/{package}/{quote(version.partition('+')[0])}/"
