"""Trained runs for the tests of what is done with them; each takes well under a second."""

from __future__ import annotations

from pathlib import Path

from dlcore import preset as presets
from dlcore import worker
from dlcore.run_dir import RunDir
from tests.core.preset_runs import process_given_back

TRAINING = """
[training]
device = "cpu"
threads = 1
epochs = 3
"""

DIGITS = '[data]\nname = "digits"\n[model]\nname = "cnn"\nchannels = [8]\nhidden = 16\n' + TRAINING
IRIS = '[data]\nname = "iris"\n[model]\nname = "mlp"\nwidths = [16]\n' + TRAINING
MOONS = '[data]\nname = "moons"\nsamples = 300\n[model]\nname = "mlp"\nwidths = [16]\n' + TRAINING
DIABETES = '[data]\nname = "diabetes"\n[model]\nname = "mlp"\nwidths = [16]\n' + TRAINING
SCENES = '[data]\nname = "scenes"\nsamples = 60\n[model]\nname = "unet"\nchannels = [4, 8]\n' + TRAINING

CARTPOLE = (
    '[data]\nname = "gymnasium"\nepisodes = 8\nval_episodes = 2\ntest_episodes = 4\n'
    '[model]\nname = "policy"\nwidths = [8]\n' + TRAINING.replace("epochs = 3", "epochs = 1\nbatch_size = 4")
)
DRAWING = {
    name: f'[data]\nname = "digits"\n[model]\nname = "{name}"\n{options}'
    + TRAINING.replace("epochs = 3", "epochs = 1")
    for name, options in {
        "gan": "generator = [16]\ndiscriminator = [16]\n",
        "vae": "hidden = 16\nlatent = 4\n",
        "denoiser": 'channels = [8]\n[task]\nname = "diffusion"\nsteps = 4\n',
    }.items()
}


def train_text(text: str, runs: Path, *sets: str, base: Path | None = None, name: str = "small") -> RunDir:
    """Trains a preset to its end in this process."""
    preset = presets.loads(text, f"{name}.toml", sets, builders=True, base=base)
    run = RunDir.create(runs, None, name, base)
    run.preset_path.write_text(presets.dump(preset))
    with process_given_back():
        assert worker.run(run) == 0
    return run
