"""The page: what is on it, and what happens when the user does something."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import gradio as gr

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.demo import figure, results, words
from monai_chexmask_u.demo.alterations import SEVERITIES, Alteration, read_mask
from monai_chexmask_u.demo.drawing import drawing_pad
from monai_chexmask_u.demo.examples import examples
from monai_chexmask_u.demo.figure import Measure
from monai_chexmask_u.demo.sessions import Session, Sessions
from monai_chexmask_u.demo.severity_plot import draw_plot
from monai_chexmask_u.model import Model

__all__ = ["CSS", "build_page"]

CSS: Final = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_FIGURE_SCRIPT: Final = Path(__file__).with_name("figure.js").read_text(encoding="utf-8")
_QUEUE: Final = 30
_TITLE: Final = """# Outlines of lungs and heart, and how sure they are
<p class="warning">Research use only, not for diagnosis. Films stay on the machine that shows this page, and are deleted
when the page is closed.</p>"""


class _Page:
    """The components, and the functions that they call; each function answers with new values of components."""

    def __init__(self, model: Model, sessions: Sessions, device: str) -> None:
        self.model, self.sessions, self.device = model, sessions, device
        self.examples = examples()
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                self._build_inputs()
            with gr.Column(scale=3, min_width=320):
                self._build_outputs()
        self._connect()

    def _build_inputs(self) -> None:
        self.upload = gr.File(label="Film: PNG, JPEG, TIFF or DICOM", type="filepath", height=110, elem_id="upload")
        self.example = gr.Dropdown(list(self.examples), value=None, label="or an example", elem_id="example")
        self.status = gr.HTML(elem_id="status")
        gr.Markdown("**Draw on the film to mask a region**")
        self.drawing = drawing_pad()
        self.brush = gr.Slider(5, 200, 60, step=5, label="Width of the brush, px", elem_id="brush")
        self.erase = gr.Button("Erase the drawing", size="sm")
        self.cover = gr.Dropdown(
            [("Nothing", ""), *((organ.title, organ.name) for organ in ORGANS)],
            value="",
            label="Mask the box around an organ, without drawing",
            elem_id="cover",
        )
        self.noise = gr.Slider(
            0, SEVERITIES["noise"].largest, 0, step=5, label="Gaussian noise, gray levels", elem_id="noise"
        )
        self.blur = gr.Slider(
            0, SEVERITIES["blur"].largest, 0, step=1, label="Blur, half kernel in px at 1024", elem_id="blur"
        )
        self.contrast = gr.Slider(
            0, SEVERITIES["contrast"].largest, 0, step=0.05, label="Share of the contrast lost", elem_id="contrast"
        )
        self.samples = gr.Slider(2, 200, 50, step=1, label="Samples", elem_id="samples")
        self.live = gr.Checkbox(False, label="Live: segment whenever something changes", elem_id="live")
        self.button = gr.Button("Segment", variant="primary", elem_id="segment")

    def _build_outputs(self) -> None:
        with gr.Row():
            self.measure = gr.Radio(
                [("90 % radius (calibrated)", "radius"), ("Predictive", "predictive"), ("Latent", "latent")],
                value="radius" if self.model.calibration else "predictive",
                label="Uncertainty",
                elem_id="measure",
            )
            self.ellipses = gr.Checkbox(False, label="Ellipses that hold 90 % of the samples", elem_id="ellipses")
        self.figures = gr.HTML(js_on_load=_FIGURE_SCRIPT, elem_id="figures")
        self.verdict = gr.HTML(elem_id="verdict")
        self.change = gr.HTML(elem_id="change")
        self.kind = gr.Radio(
            [("Noise", "noise"), ("Blur", "blur"), ("Contrast", "contrast"), ("Masked share", "masked")],
            value="noise",
            label="Plot uncertainty against",
            elem_id="kind",
        )
        self.plot = gr.HTML(elem_id="plot")
        with gr.Accordion("Measures", open=False):
            self.measures = gr.HTML(elem_id="measures")
        gr.Markdown("### Downloads")
        self.downloads = gr.HTML(elem_id="downloads")

    def _connect(self) -> None:
        view = [self.measure, self.ellipses, self.kind]
        shown = [self.status, self.figures, self.verdict, self.change, self.measures, self.plot, self.downloads]
        segmented = [*shown, self.kind]
        opened = [self.status, self.drawing, *shown[1:]]
        settings = [self.noise, self.blur, self.contrast, self.samples, self.drawing, self.cover]
        one_at_a_time: dict[str, Any] = {"trigger_mode": "always_last", "show_progress_on": self.figures}
        for source, opener in ((self.upload.upload, self._open_upload), (self.example.input, self._open_example)):
            component = self.upload if source == self.upload.upload else self.example
            source(opener, component, opened).success(
                self._segment, [*settings, *view], segmented, show_progress_on=self.figures
            )
        self.button.click(self._segment, [*settings, *view], segmented, **one_at_a_time)
        moved = [slider.release for slider in (self.noise, self.blur, self.contrast, self.samples)]
        for change in (*moved, self.drawing.input, self.cover.input, self.live.input):
            change(self._segment_live, [self.live, *settings, *view], segmented, **one_at_a_time)
        for switch in (self.measure.input, self.ellipses.input, self.kind.input):
            switch(self._view, view, shown[1:6], show_progress="hidden")
        self.brush.change(None, self.brush, self.drawing, js="width => ({ __type__: 'update', brush: width })")
        self.erase.click(lambda: gr.HTML(value=""), None, self.drawing).success(
            self._segment_live, [self.live, *settings, *view], segmented, **one_at_a_time
        )

    def _open_upload(self, path: str | None, request: gr.Request) -> tuple[Any, ...]:
        if path is None:
            raise gr.Error("The upload did not arrive; try again.")
        try:
            return self._open(Path(path), request)
        finally:
            # Gradio keeps uploads beside the session's folder.
            shutil.rmtree(Path(path).parent, ignore_errors=True)

    def _open_example(self, title: str, request: gr.Request) -> tuple[Any, ...]:
        with self._session(request) as session:
            path = self.examples[title](session.folder)
        return self._open(path, request)

    def _open(self, path: Path, request: gr.Request) -> tuple[Any, ...]:
        """Read a film; the page forgets the results of the one before."""
        with self._session(request) as session:
            picture = results.open_film(session, path)
            drawing = gr.HTML(film=f"{_pictures(session)}/{picture}", value="")
        return words.message("The film is read."), drawing, "", "", "", "", "", ""

    # Gradio hands over the values of the inputs in their order, and the request by its type.
    def _segment(
        self,
        noise: float,
        blur: float,
        contrast: float,
        samples: float,
        drawing: str,
        cover: str,
        measure: Measure,
        ellipses: bool,
        kind: str,
        request: gr.Request,
    ) -> tuple[Any, ...]:
        with self._session(request) as session:
            alteration = Alteration(noise, blur, contrast, read_mask(drawing))
            results.segment(session, self.model, alteration, samples=int(samples), cover=cover, device=self.device)
            kind = results.moved(session, kind)
            done = "Segmented. Altered film beside the film as it is." if session.after else "Segmented."
            links = words.download_links(session, results.offers(session))
            return words.message(done), *_shown(session, measure, ellipses, kind), links, kind

    def _segment_live(self, live: bool, request: gr.Request, *settings: Any) -> tuple[Any, ...]:
        with self._session(request) as session:
            wanted = live and session.film is not None
        inputs: list[Any] = [*settings, request]
        return self._segment(*inputs) if wanted else (gr.skip(),) * 8

    def _view(self, measure: Measure, ellipses: bool, kind: str, request: gr.Request) -> tuple[Any, ...]:
        with self._session(request) as session:
            return _shown(session, measure, ellipses, kind)

    @contextmanager
    def _session(self, request: gr.Request) -> Iterator[Session]:
        """Yield the user's session, alone; say to the user what is wrong with a film or a setting."""
        try:
            session = self.sessions.get(request.session_hash)
            with session.lock:
                yield session
        except (ValueError, OSError) as error:
            sentence = str(error) if isinstance(error, ValueError) else "no room for files on this machine"
            raise gr.Error(f"{sentence[:1].upper()}{sentence[1:]}.", duration=None, print_exception=False) from error


def _pictures(session: Session) -> str:
    return f"pictures/{session.token}"


def _shown(session: Session, measure: Measure, ellipses: bool, kind: str) -> tuple[Any, ...]:
    """Return figures, verdict, change, measures and plot of the session's latest result."""
    before, after = session.before, session.after
    if before is None:
        return ("",) * 5
    shown = [before] if after is None else [before, after]
    end = figure.scale_end(shown, measure)
    titles = ("Film as it is", "Altered film")
    films = "".join(
        figure.draw_figure(one, title, measure, end, pictures=_pictures(session), ellipses=ellipses)
        for one, title in zip(shown, titles, strict=False)
    )
    return (
        f'<div class="films">{films}</div>{figure.color_bar(measure, end, shown[-1].result)}',
        words.verdict(shown[-1], altered=after is not None),
        words.change_table(before, after) if after else "",
        words.measures(shown[-1], altered=after is not None),
        draw_plot(results.points(session, kind, measure), kind, measure),
    )


def build_page(model: Model, sessions: Sessions, *, device: str = "auto") -> gr.Blocks:
    """Build the page.

    Args:
        model: from `monai_chexmask_u.model.load_model`.
        sessions: of its users; the page closes each when its user leaves.
        device: as `Segmenter` takes it.
    """
    with gr.Blocks(title="CheXmask-U: outlines with uncertainty", analytics_enabled=False) as page:
        gr.Markdown(_TITLE)
        _Page(model, sessions, device)

        def leave(request: gr.Request) -> None:
            sessions.close(request.session_hash)

        page.unload(leave)
    page.queue(max_size=_QUEUE, default_concurrency_limit=1)
    return page
