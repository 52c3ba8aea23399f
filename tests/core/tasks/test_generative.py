"""Tasks that draw images: their losses against the formulas, and who learns when."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from dlcore.data.spec import Batch, DataSpec
from dlcore.errors import UserError
from dlcore.registry import MODELS, TASKS
from dlcore.tasks.diffusion import NoiseSchedule, cosine_betas, linear_betas
from dlcore.tasks.gan import frechet_distance
from dlcore.tasks.vae import gaussian_kl
from dlcore.training.task import Task, as_float

FACTS = {"kind": "image", "scale": 1.0, "mean": [0.5], "std": [0.5]}
SPEC = DataSpec("image", (1, 8, 8), "none", 0, preprocessing=FACTS)
PAIRS = [
    ("autoencoder", "autoencoding"),
    ("vae", "vae"),
    ("gan", "gan"),
    ("dcgan", "gan"),
    ("denoiser", "diffusion"),
]
every_pair = pytest.mark.parametrize(("model", "task"), PAIRS)


def make_task(model: str, task: str, **options: Any) -> Task:
    torch.manual_seed(0)
    built = TASKS.build(task, MODELS.build(model, SPEC), SPEC, **options)
    assert isinstance(built, Task)
    return built


def make_batch(size: int = 6, seed: int = 0) -> Batch:
    brightness = torch.rand(size, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return Batch((brightness - 0.5) / 0.5, torch.zeros(size, dtype=torch.int64), torch.arange(size))


def evaluated(task: Task, batches: list[Batch]) -> dict[str, float]:
    task.model.eval()
    metrics = task.metrics()
    with torch.no_grad():
        for batch in batches:
            loss, outputs = task.loss(batch, task.phases[0].name)
            metrics.update(loss, outputs, batch)
    return metrics.compute()


@every_pair
def test_the_model_chooses_its_task(model: str, task: str) -> None:
    assert MODELS.entry(model).tags["task"] == task


@every_pair
def test_evaluation_is_the_same_every_time_and_draws_nothing(model: str, task: str) -> None:
    built, batch = make_task(model, task), make_batch(20)
    before = torch.get_rng_state()
    first = evaluated(built, [batch])
    assert torch.equal(before, torch.get_rng_state())
    assert first == evaluated(built, [batch])
    assert all(map(math.isfinite, first.values()))
    assert built.monitor.removeprefix("val/") in first


@every_pair
def test_samples_are_pictures_of_plain_numbers(model: str, task: str) -> None:
    built, batch = make_task(model, task), make_batch(3)
    built.model.eval()
    with torch.no_grad():
        _, outputs = built.loss(batch, built.phases[0].name)
        rows = built.samples(batch, as_float(outputs))
        again = built.samples(batch, as_float(outputs))
    assert rows == again, "what is drawn from noise is drawn from the same noise"
    assert len(rows) == 3
    for row in rows:
        for shown in row["pictures"]:
            assert np.array(shown["pixels"]).shape == (1, 8, 8)
            assert np.min(shown["pixels"]) >= 0 and np.max(shown["pixels"]) <= 255


@every_pair
def test_data_without_images_is_a_sentence(model: str, task: str) -> None:
    vectors = DataSpec("vector", (4,), "class", 3)
    with pytest.raises(UserError, match="draws images"):
        TASKS.build(task, MODELS.build(model, SPEC), vectors)


# Autoencoder and VAE


def test_an_autoencoders_error_is_in_units_of_brightness() -> None:
    task = make_task("autoencoder", "autoencoding")
    task.model = Constant(torch.zeros(1, 8, 8))  # brightness 0.5 everywhere
    batch = make_batch()
    brightness = batch.inputs * 0.5 + 0.5
    assert evaluated(task, [batch])["pixel_error"] == pytest.approx(float((brightness - 0.5).abs().mean()))


class Constant(nn.Module):
    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, inputs: Tensor) -> Tensor:
        return self.answer.expand(len(inputs), *self.answer.shape)


def test_a_denoising_autoencoder_sees_noise_in_training_only() -> None:
    seen: list[Tensor] = []
    task = make_task("autoencoder", "autoencoding", noise=0.5)
    task.model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    batch = make_batch()
    task.loss(batch, "main")
    evaluated(task, [batch])
    assert not torch.equal(seen[0], batch.inputs) and torch.equal(seen[1], batch.inputs)


def test_kl_is_torchs_closed_form() -> None:
    mean, log_variance = torch.randn(5, 7), torch.randn(5, 7)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(gaussian_kl(mean, log_variance), expected)


def test_kl_is_what_samples_say() -> None:
    mean, log_variance = torch.tensor([[0.7, -0.2]]), torch.tensor([[-1.0, 0.5]])
    code, target = Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)
    drawn = code.sample((200_000,))
    estimate = (code.log_prob(drawn) - target.log_prob(drawn)).sum(-1).mean()
    assert float(gaussian_kl(mean, log_variance)) == pytest.approx(float(estimate), rel=0.02)


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_the_elbos_parts_add_up(beta: float) -> None:
    figures = evaluated(make_task("vae", "vae", beta=beta), [make_batch(6), make_batch(3, seed=1)])
    assert figures["loss"] == pytest.approx(figures["reconstruction"] + beta * figures["kl"], rel=1e-6)


# GAN


def weights(module: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


@pytest.mark.parametrize("model", ["gan", "dcgan"])
@pytest.mark.parametrize("phase", ["discriminator", "generator"])
def test_a_phase_changes_its_own_weights_only(model: str, phase: str) -> None:
    task = make_task(model, "gan")
    other = {"discriminator": "generator", "generator": "discriminator"}[phase]
    own = {p.name: p.modules for p in task.phases}[phase]
    assert own == (task.model.get_submodule(phase),)
    everything = torch.optim.SGD(task.model.parameters(), lr=0.1)
    before = {name: weights(task.model.get_submodule(name)) for name in (phase, other)}
    loss, _ = task.loss(make_batch(), phase)
    loss.backward()
    everything.step()
    after = {name: weights(task.model.get_submodule(name)) for name in (phase, other)}
    assert all(torch.equal(a, b) for a, b in zip(before[other], after[other], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(before[phase], after[phase], strict=True))


def test_the_generators_loss_is_the_non_saturating_one() -> None:
    task, batch = make_task("gan", "gan"), make_batch()
    task.model.discriminator.eval()
    torch.manual_seed(3)
    loss, _ = task.loss(batch, "generator")
    torch.manual_seed(3)
    noise = torch.randn(6, task.model.latent)
    chance = task.model.discriminator(task.model.generator(noise)).sigmoid()
    torch.testing.assert_close(loss, -chance.log().mean())


def test_the_discriminators_loss_is_cross_entropy_on_both() -> None:
    task, batch = make_task("gan", "gan", smoothing=0.1), make_batch()
    task.model.discriminator.eval()
    torch.manual_seed(3)
    loss, _ = task.loss(batch, "discriminator")
    torch.manual_seed(3)
    drawn = task.model.generator(torch.randn(6, task.model.latent))
    entropy = nn.BCEWithLogitsLoss()
    expected = entropy(task.model.discriminator(batch.inputs), torch.full((6, 1), 0.9)) + entropy(
        task.model.discriminator(drawn), torch.zeros(6, 1)
    )
    torch.testing.assert_close(loss, expected)


def test_a_gans_figures_name_both_losses_and_no_accuracy() -> None:
    figures = evaluated(make_task("gan", "gan"), [make_batch(30), make_batch(20, seed=1)])
    assert set(figures) == {"loss_discriminator", "loss_generator", "frechet"}


def test_frechet_distance_of_shifted_and_stretched_normals() -> None:
    mean, other = torch.tensor([1.0, 2.0]).double(), torch.tensor([4.0, -2.0]).double()
    turned = torch.tensor([[0.6, -0.8], [0.8, 0.6]]).double()
    covariance = turned @ torch.diag(torch.tensor([4.0, 9.0]).double()) @ turned.T
    stretched = turned @ torch.diag(torch.tensor([25.0, 1.0]).double()) @ turned.T
    assert frechet_distance(mean, covariance, mean, covariance) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(mean, covariance, other, covariance) == pytest.approx(9 + 16)
    # Along shared axes: the squared differences of the deviations, (2 - 5)² + (3 - 1)².
    assert frechet_distance(mean, covariance, mean, stretched) == pytest.approx(9 + 4)


# Diffusion


@pytest.mark.parametrize("steps", [10, 200, 1000])
def test_the_linear_schedule_is_ddpms(steps: int) -> None:
    betas = linear_betas(steps)
    scale = 1000 / steps
    for index in (0, steps // 3, steps - 1):
        expected = scale * (1e-4 + (0.02 - 1e-4) * index / (steps - 1))
        assert float(betas[index]) == pytest.approx(min(expected, 0.999))


@pytest.mark.parametrize("steps", [10, 200, 1000])
def test_the_cosine_schedule_is_its_formula(steps: int) -> None:
    schedule = NoiseSchedule(cosine_betas(steps))

    def fade(moment: float) -> float:
        return math.cos((moment / steps + 0.008) / 1.008 * math.pi / 2) ** 2

    for index in range(0, steps - 1, 3):  # at the very end β is kept to 0.999
        assert float(schedule.alphas_bar[index]) == pytest.approx(fade(index + 1) / fade(0), rel=1e-9)
    assert float(schedule.betas.max()) <= 0.999
    assert float(schedule.alphas_bar[-1]) < 1e-3, "nothing is left of the image"


@pytest.mark.parametrize("betas", [linear_betas(50), cosine_betas(50)], ids=["linear", "cosine"])
def test_a_noisy_image_is_what_single_steps_make_of_it(betas: Tensor) -> None:
    """q(x_t | x_0) in one go against x_t = √(1 - β) x_{t-1} + √β ε, step by step, in mean and variance."""
    schedule, mean, variance = NoiseSchedule(betas), 1.0, 0.0
    for step, beta in enumerate(betas.tolist()):
        mean, variance = mean * math.sqrt(1 - beta), variance * (1 - beta) + beta
        time = torch.tensor([step])
        one, zero = torch.ones(1, 1, 1, 1).double(), torch.zeros(1, 1, 1, 1).double()
        assert float(schedule.noisy(one, time, zero)) == pytest.approx(mean)
        assert float(schedule.noisy(zero, time, one)) ** 2 == pytest.approx(variance)


def test_a_step_back_is_the_posterior_of_bayes() -> None:
    """q(x_{t-1} | x_t, x_0) ∝ q(x_t | x_{t-1}) q(x_{t-1} | x_0), product of two normal densities."""
    schedule, step, clean = NoiseSchedule(linear_betas(20)), 12, 0.3
    beta, bar, before = (
        float(v) for v in (schedule.betas[step], schedule.alphas_bar[step], schedule.alphas_bar[step - 1])
    )
    noise = 0.8
    seen = math.sqrt(bar) * clean + math.sqrt(1 - bar) * noise
    precision = (1 - beta) / beta + 1 / (1 - before)
    mean = (math.sqrt(1 - beta) * seen / beta + math.sqrt(before) * clean / (1 - before)) / precision
    image, predicted = torch.tensor([seen]).double(), torch.tensor([noise]).double()
    zero, one = torch.zeros(1).double(), torch.ones(1).double()
    assert float(schedule.step_back(image, predicted, step, zero)) == pytest.approx(mean)
    deviation = float(schedule.step_back(image, predicted, step, one)) - mean
    assert deviation**2 == pytest.approx(1 / precision)


def test_a_perfect_denoiser_draws_the_image() -> None:
    task = make_task("denoiser", "diffusion", steps=40)
    brightness = torch.rand(1, 8, 8)

    class Perfect(nn.Module):
        def forward(self, noisy: Tensor, time: Tensor) -> Tensor:
            bar = task.schedule.alphas_bar[time].float().view(-1, 1, 1, 1)
            return (noisy - bar.sqrt() * (2 * brightness - 1)) / (1 - bar).sqrt()

    task.model = Perfect()
    moments = task.draw(3, device=torch.device("cpu"), shown=4)
    assert [name for name, _ in moments] == ["step 0", "step 13", "step 27", "step 40"]
    torch.testing.assert_close(moments[-1][1], brightness.expand(3, 1, 8, 8), atol=1e-4, rtol=0)


def test_validation_covers_all_amounts_of_noise() -> None:
    task, seen = make_task("denoiser", "diffusion", steps=50), []
    task.model.register_forward_pre_hook(lambda module, inputs: seen.extend(inputs[1].tolist()))
    evaluated(task, [make_batch(50)])
    assert sorted(seen) == list(range(50))
