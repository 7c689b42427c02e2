"""The tasks by their names."""

from __future__ import annotations

from collections.abc import Mapping

from layerwise.train.tasks.classify import Classification
from layerwise.train.tasks.ner import Tagging
from layerwise.train.tasks.qa import QuestionAnswering
from layerwise.train.tasks.seq2seq import Generation
from layerwise.train.tasks.similarity import SimilarityTask
from layerwise.train.tasks.task import Task

TASKS: Mapping[str, type[Task]] = {
    task.name: task for task in (Classification, Tagging, QuestionAnswering, SimilarityTask, Generation)
}
