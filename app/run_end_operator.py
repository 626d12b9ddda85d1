"""End a run: write its record."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec

from app.result_writer_operator import Output

__all__ = ["RunEndOperator"]


class RunEndOperator(Operator):
    """Writes ``run.json`` when all writers are done: what became of every image, and why.

    Named input:
        results: list of pairs of Radiograph and LandmarkSegmentation.
    """

    def __init__(self, fragment: Fragment, *args: Any, output: Output, **kwargs: Any) -> None:
        """End the run that writes to `output`."""
        self._output = output
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the port."""
        spec.input("results")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Write the record.

        Raises:
            OSError: if the folder cannot be written to.
        """
        op_input.receive("results")
        self._output.record.write(self._output.folder)
