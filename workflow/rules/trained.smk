# Trained networks: replicas trained together, what is measured of them, and theory.

# Cheap members of an entry share a job in each stage, since starting one costs more than they do.
for batch in TRAINED:

    rule:
        """Replicas trained together, of all members of a batch: stage train."""
        name:
            f"train_{batch.name}"
        input:
            data=at(f"results/data/{batch.data}.nc"),
        output:
            [at(f"{m.folder}/networks.nc") for m in batch.members],
        log:
            at(f"results/logs/train/{batch.name}.log"),
        conda:
            "../../envs/torch.yaml"
        resources:
            **asked(f"train_{batch.name}"),
        params:
            device=STUDY_FILE.device_for("train"),
            configs=[projections.train(STUDY_FILE, m) for m in batch.members],
            checkpoints=[m.checkpoint for m in batch.members],
            code=code_of("train.py"),
        script:
            "../scripts/train.py"

    rule:
        """Spectra, alignment and accuracies of trained networks, by batch: stage measure."""
        name:
            f"measure_{batch.name}"
        input:
            data=at(f"results/data/{batch.data}.nc"),
            networks=[at(f"{m.folder}/networks.nc") for m in batch.members],
        output:
            estimates=[at(f"{m.folder}/estimates.nc") for m in batch.members],
            covariances=[at(f"{m.folder}/covariances.nc") for m in batch.members],
        log:
            at(f"results/logs/measure/{batch.name}.log"),
        conda:
            "../../envs/torch.yaml"
        resources:
            **asked(f"measure_{batch.name}"),
        params:
            device=STUDY_FILE.device_for("measure"),
            configs=[projections.measure(STUDY_FILE, m) for m in batch.members],
            code=code_of("measure.py"),
        script:
            "../scripts/measure.py"

    rule:
        """Networks drawn anew from covariances of trained ones, by batch: stage generate."""
        name:
            f"generate_{batch.name}"
        input:
            data=at(f"results/data/{batch.data}.nc"),
            networks=[at(f"{m.folder}/networks.nc") for m in batch.members],
        output:
            [at(f"{m.folder}/generated.nc") for m in batch.members],
        log:
            at(f"results/logs/generate/{batch.name}.log"),
        conda:
            "../../envs/torch.yaml"
        resources:
            **asked(f"generate_{batch.name}"),
        params:
            device=STUDY_FILE.device_for("generate"),
            configs=[projections.generate(STUDY_FILE, m) for m in batch.members],
            code=code_of("generate.py"),
        script:
            "../scripts/generate.py"

    rule:
        """What theory predicts of trained networks, by batch: stage predict."""
        name:
            f"predict_{batch.name}"
        input:
            data=at(f"results/data/{batch.data}.nc"),
            estimates=[at(f"{m.folder}/estimates.nc") for m in batch.members],
        output:
            [at(f"{m.folder}/theory.nc") for m in batch.members],
        log:
            at(f"results/logs/predict/{batch.name}.log"),
        conda:
            "../../envs/analysis.yaml"
        resources:
            **asked(f"predict_{batch.name}"),
        params:
            configs=[projections.predict(STUDY_FILE, m) for m in batch.members],
            code=code_of("predict.py"),
        script:
            "../scripts/predict.py"
