"""What is fine-tuned: all of a model, its first blocks, its head alone, a mix of its layers."""

from __future__ import annotations

from dataclasses import dataclass

from layerwise.errors import UsageError, choose

MIXES = ("none", "scalar")
NEW = "new"
"""The decoder that begins with random weights."""


@dataclass(frozen=True)
class FinetuneChoices:
    """What is trained.

    Attributes:
        blocks: the first blocks that are kept; None: all.
        frozen: whether the encoder stays as it is, and the head alone learns.
        mix: `none` (the last layer) or `scalar` (a learned mix of all layers).
        class_weights: whether rare classes count more.
        max_length: most tokens of a sequence; None: the model's, at most 512.
        patience: evaluations without a better score before training stops; None: never.
        decoder: for seq2seq, the model that the decoder begins as; None: the same.
    """

    blocks: int | None = None
    frozen: bool = False
    mix: str = "none"
    class_weights: bool = False
    max_length: int | None = None
    patience: int | None = 3
    decoder: str | None = None

    def models(self, model: str) -> list[str]:
        """What is read to begin from: the model, and that of the decoder where it is another."""
        other = self.decoder is not None and self.decoder.partition(":")[0] != NEW
        return [model, *([str(self.decoder)] if other else [])]

    def refuse_unfit(self, task: str) -> None:
        """Refuse what does not go with a task.

        Raises:
            UsageError: something does not.
        """
        choose("mix", self.mix, MIXES)
        if self.patience is not None and self.patience < 1:
            raise UsageError(
                f"the patience is {self.patience}: expected 1 or more evaluations (never: 0 on the command line, None in "
                "Python)."
            )
        if self.decoder is not None and (not self.decoder or self.decoder.endswith(":")):
            raise UsageError(
                f"the decoder is {self.decoder!r}: expected a model, new, or new: and a number of blocks."
            )
        if task == "seq2seq" and self.mix != "none":
            raise UsageError(
                "--mix scalar was given for seq2seq, whose decoder reads the last layer of the encoder: leave it out, and "
                "choose which block that is with --layers."
            )
        if task != "seq2seq" and self.decoder is not None:
            raise UsageError(f"--decoder was given for {task}: it is for seq2seq.")
        if task == "similarity" and self.frozen and self.mix == "none":
            raise UsageError(
                "similarity has no head, so nothing would be trained with --frozen: leave it out, or add --mix scalar to "
                "learn the mix of the layers."
            )
        if self.class_weights and task not in ("classify", "ner"):
            raise UsageError(f"--class-weights was given for {task}, which has no classes: leave it out.")
