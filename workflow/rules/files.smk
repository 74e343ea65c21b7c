# Which files there are: of inputs, of a study, of a figure, of the whole run.
from types import SimpleNamespace

#: What names every file of the run, and the code that ran, beside them.
CRATE = at("results/ro-crate-metadata.json")
CODE = at("results/code")


def in_place(files):
    """As inputs of a rule: a user's own files keep their place, whatever prefix a module is given."""
    return lambda wildcards: [
        file if file.startswith("results/") else local(file) for file in files(wildcards)
    ]


def input_files(wildcards):
    """A user's own files are inputs of the rule, so that a change of them is seen."""
    mine = f"inputs.{wildcards.name}."
    return [file for key, file in given_files(STUDY_FILE) if key.startswith(mine)]


def images_from(wildcards):
    """What a set of images is read from, so that a change of it is seen."""
    spec = STUDY_FILE.data[wildcards.data]
    if spec.kind == "cifar10":
        return [spec.archive or at(f"results/downloads/{wildcards.data}.tar.gz")]
    return [spec.file] if spec.kind == "array" else []


def inputs_of(m):
    """The sets of input vectors that a member is evaluated on, those it is trained on first."""
    return [at(f"results/inputs/{name}.nc") for name in m.input_sets]


def study_files(study):
    return [at(file) for m in study_members(STUDY_FILE, study) for file in m.results]


def study_seconds(study):
    """What was timed, where the study draws it."""
    timed = "ntk_times" in (STUDY_FILE.studies[study].figures or [])
    return [at(file) for m in study_members(STUDY_FILE, study) for file in m.seconds if timed]


def figure_files(study, figure):
    folder = at(f"results/studies/{study}/figures")
    return [f"{folder}/{figure}.{ending}" for ending in STUDY_FILE.formats]


def drawn(study, figure):
    """The files of a figure, one of them for the report."""
    files = dict(zip(STUDY_FILE.formats, figure_files(study, figure)))
    shown = files.get(shown_by_browsers(STUDY_FILE.formats))

    def labels(wildcards, output):
        # Where it stands, which a module's prefix can change.
        (file,) = (file for file in output if shown and file.endswith(shown))
        return figure_labels(projections.study(STUDY_FILE, study), figure, file)

    marks = {"caption": caption(f"{study}/{figure}"), "category": study, "labels": labels}
    return [report(file, **marks) if file == shown else file for file in files.values()]


def style_of(study):
    """The user's own style file for a study's figures, if there is one."""
    file = STUDY_FILE.style_of(study).file
    return [file] if file else []


#: Each study with each of its figures.
DRAWN = [
    (name, figure) for name, study in STUDY_FILE.studies.items() for figure in study.figures or []
]


def study_results(name):
    for figure in STUDY_FILE.studies[name].figures or []:
        yield from figure_files(name, figure)
    yield from (at(f"results/studies/{name}/comparison.{x}") for x in projections.TABLES)


def every_result():
    every_member = [m for batch in (*BATCHES, *TRAINED) for m in batch.members]
    results = [at(file) for m in every_member for file in m.results]
    results += [file for name in STUDY_FILE.studies for file in study_results(name)]
    results += [at(projections.INDEX) for _ in list(STUDY_FILE.studies)[:1]]
    return results + [at(projections.GALLERY) for _ in DRAWN[:1]]


def everything(wildcards):
    """What `all` asks for: every result by its name, so that one that is lost is made again."""
    # Of a batch of the crate's files (--batch crate=1/3), what is named here would be made as well.
    named = [] if workflow.dag_settings.batch else every_result()
    return [*named, CRATE, CODE]


def every_file():
    """Every result and what it was made from, once."""
    random = [m for batch in BATCHES for m in batch.members]
    trained = [m for batch in TRAINED for m in batch.members]
    files = every_result()
    files += [at(file) for m in random for file in (*m.samples, *m.seconds)]
    files += [file for m in random for file in inputs_of(m)]
    files += [at(f"{m.folder}/{name}.nc") for m in trained for name in ("networks", "covariances")]
    files += [at(f"results/data/{batch.data}.nc") for batch in TRAINED]
    files += [
        file
        for name in sorted({batch.data for batch in TRAINED})
        for file in images_from(SimpleNamespace(data=name))
        # What stands in another run's folder is outside of this one.
        if file.startswith(at("results/downloads/"))
    ]
    return list(dict.fromkeys(files))


#: What else than the library a copy of the code is made of, where these rules were fetched.
FETCHED = (
    "CITATION.cff",
    "LICENSE",
    "config.yaml",
    "envs/analysis.yaml",
    "envs/torch.yaml",
    "workflow/Snakefile",
    *(
        f"workflow/rules/{name}.smk"
        for name in "common compare data estimate figures files provenance resources sample stages"
        " theory trained".split()
    ),
    *(
        f"workflow/scripts/{name}.py"
        for name in "compare crate data download estimate figures gallery generate index inputs"
        " measure normality predict sample theory train".split()
    ),
)


def fetched(wildcards):
    """A folder with these files; none where the library stands in a checkout that has them all."""
    if BESIDE or (PACKAGE.parent / "Snakefile").is_file():
        return ""
    folder = OURS / "code"
    for name in FETCHED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source(f"../../{name}"), folder / name)
    return str(folder)
