"""What a network makes out of nothing or a beginning: pictures from noise, texts from a prompt, episodes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from dlcore.data.seeding import derived_seed
from dlcore.deploy.inputs import Unreadable
from dlcore.deploy.predict import Answer
from dlcore.errors import UserError
from dlcore.run_dir import slug
from dlcore.text_safety import safe_text
from dlcore.trained import Trained
from dlcore.training.evaluation import evaluation_mode

MOST_PROMPT_BYTES = 1_000_000


def draw(trained: Trained, count: int, folder: Path, *, seed: int) -> list[Path]:
    """New pictures as PNG files, and one sheet with all of them.

    Args:
        folder: made when missing; files of earlier calls are replaced.

    Raises:
        UserError: the task draws nothing, or the folder cannot be written.
    """
    with torch.no_grad(), evaluation_mode(trained.task.model), torch.random.fork_rng():
        torch.manual_seed(seed)
        images = trained.task.create(count, seed=seed).detach().float().cpu()
    pixels = (images.nan_to_num().clamp(0, 1) * 255).round().byte()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"sample-{at:04d}.png" for at in range(count)]
        for path, picture in zip(paths, pixels, strict=True):
            as_picture(picture).save(path)
        sheet = folder / "all.png"
        as_picture(side_by_side(pixels)).save(sheet)
    except OSError as error:
        raise UserError(f"cannot write in {safe_text(folder)}: {error.strerror or error}") from error
    return [*paths, sheet]


def play(trained: Trained, count: int, *, seed: int, framed: bool) -> list[dict[str, Any]]:
    """New episodes of a policy's environment; see `Task.episodes`.

    Raises:
        UserError: the task plays nothing, or the environment cannot be made here.
    """
    seeds = [derived_seed("episode", "played", seed, at) % 2**31 for at in range(count)]
    with torch.no_grad(), evaluation_mode(trained.task.model):
        return trained.task.episodes(seeds, framed=framed)


def save_episodes(episodes: Sequence[dict[str, Any]], folder: Path) -> None:
    """The frames of each episode as a text file, in place of the frames themselves.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for at, episode in enumerate(episodes):
            path = folder / f"episode-{at:04d}.txt"
            path.write_text("\n\n".join(episode.pop("frames")) + "\n", "utf-8")
            episode["file"] = str(path)
    except OSError as error:
        raise UserError(f"cannot write in {safe_text(folder)}: {error.strerror or error}") from error


def save_answers(answers: Sequence[tuple[str, dict[str, Any]]], folder: Path) -> None:
    """Answers that are pictures as PNG files named like their inputs, in place of the pictures themselves.

    Raises:
        UserError: no answer is a picture, or the folder cannot be written.
    """
    if not any("picture" in content for _, content in answers):
        raise UserError("--out keeps pictures, and this run answers with none")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for at, (name, content) in enumerate(answers):
            pixels = torch.tensor(content.pop("picture"), dtype=torch.uint8)
            path = folder / f"{at:04d}-{slug(Path(name).stem) or 'input'}.png"
            as_picture(pixels if pixels.dim() == 3 else pixels[None]).save(path)
            content["file"] = str(path)
    except OSError as error:
        raise UserError(f"cannot write in {safe_text(folder)}: {error.strerror or error}") from error


def as_picture(pixels: Tensor) -> Image.Image:
    """uint8 (1 or 3, height, width)."""
    if pixels.shape[0] == 1:
        return Image.fromarray(pixels[0].numpy())
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def side_by_side(pixels: Tensor, gap: int = 1) -> Tensor:
    """Pictures (count, channels, height, width) as one, in nearly a square of rows and columns."""
    count, channels, height, width = pixels.shape
    columns = max(1, round(count**0.5))
    rows = -(-count // columns)
    sheet = torch.full(
        (channels, rows * (height + gap) - gap, columns * (width + gap) - gap), 255, dtype=torch.uint8
    )
    for at, picture in enumerate(pixels):
        top, left = at // columns * (height + gap), at % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = picture
    return sheet


def write(
    trained: Trained,
    prompts: Sequence[str],
    *,
    max_tokens: int,
    temperature: float,
    top_k: int,
    seed: int,
) -> Iterator[Answer | Unreadable]:
    """Each prompt with what the model goes on with, or with its gaps filled; ``-`` reads one from standard input.

    Raises:
        UserError: the task writes nothing.
    """
    for prompt in prompts:
        text = prompt
        if prompt == "-":
            text = sys.stdin.buffer.read(MOST_PROMPT_BYTES).decode("utf-8", "replace")
        with torch.no_grad(), evaluation_mode(trained.task.model):
            try:
                filled = trained.task.fill(text)
                if filled is not None:
                    yield Answer(prompt, filled)
                    continue
                written = trained.task.write(
                    text, max_tokens=max_tokens, temperature=temperature, top_k=top_k, seed=seed
                )
            except ValueError as error:
                if isinstance(error, UserError):
                    raise
                yield Unreadable(prompt, str(error))
                continue
        yield Answer(prompt, {"prediction": written, "text": text + written})
