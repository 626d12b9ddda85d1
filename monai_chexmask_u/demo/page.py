"""The page: what is on it, and what happens when the user does something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any, Final

import gradio as gr

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.demo import figure, page_texts, results
from monai_chexmask_u.demo.alterations import MAX_MASK_CHARACTERS, SEVERITIES, Alteration, read_mask
from monai_chexmask_u.demo.components import drawing_pad, upload_field
from monai_chexmask_u.demo.examples import examples
from monai_chexmask_u.demo.figure import Measure
from monai_chexmask_u.demo.gate import Check, is_choice, is_flag, is_number, is_text
from monai_chexmask_u.demo.sessions import Session, Sessions
from monai_chexmask_u.demo.severity_plot import draw_plot
from monai_chexmask_u.demo.uploads import Uploads
from monai_chexmask_u.model import Model

__all__ = ["CSS", "build_page", "event_checks"]

CSS: Final = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_FIGURE_SCRIPT: Final = Path(__file__).with_name("figure.js").read_text(encoding="utf-8")
_QUEUE: Final = 100
_STATES: Final = 100  # of names that Gradio keeps, each with a drawing of up to 2 MB; the page does without
_TITLE: Final = """# Outlines of lungs and heart, and how sure they are
<p class="warning">Research use only, not for diagnosis. Radiographs stay on the machine that shows this page, and are
deleted when the page is closed.</p>"""


class _Page:
    """The components, and the functions that they call; each function answers with new values of components."""

    def __init__(self, model: Model, sessions: Sessions, uploads: Uploads, device: str) -> None:
        self.model, self.sessions, self.uploads, self.device = model, sessions, uploads, device
        self.examples = examples()
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                self._build_inputs()
            with gr.Column(scale=3, min_width=320):
                self._build_outputs()
        self._connect()

    def _build_inputs(self) -> None:
        self.upload = upload_field()
        self.example = gr.Dropdown(list(self.examples), value=None, label="or an example", elem_id="example")
        self.status = gr.HTML(elem_id="status")
        gr.Markdown("**Draw on the radiograph to mask a region**")
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
        self.samples = gr.Slider(2, results.MOST_SAMPLES, 50, step=1, label="Samples", elem_id="samples")
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
        # Computations run one by one, for all pages together; no function has a name by which programs could call it.
        alone: dict[str, Any] = {"concurrency_id": "work", "concurrency_limit": 1, "api_visibility": "private"}
        quick: dict[str, Any] = {"api_visibility": "private"}
        latest: dict[str, Any] = alone | {"trigger_mode": "always_last", "show_progress_on": self.figures}
        for component, opener in ((self.upload, self._open_upload), (self.example, self._open_example)):
            component.input(opener, component, opened, **alone).success(
                self._segment, [*settings, *view], segmented, show_progress_on=self.figures, **alone
            )
        self.button.click(self._segment, [*settings, *view], segmented, **latest)
        moved = [slider.release for slider in (self.noise, self.blur, self.contrast, self.samples)]
        for change in (*moved, self.drawing.input, self.cover.input, self.live.input):
            change(self._segment_live, [self.live, *settings, *view], segmented, **latest)
        for switch in (self.measure.input, self.ellipses.input, self.kind.input):
            switch(self._view, view, shown[1:6], show_progress="hidden", **quick)
        self.brush.change(None, self.brush, self.drawing, js="width => ({ __type__: 'update', brush: width })", **quick)
        self.erase.click(lambda: gr.HTML(value=""), None, self.drawing, **quick).success(
            self._segment_live, [self.live, *settings, *view], segmented, **latest
        )

    def welcome(self, request: gr.Request) -> gr.HTML:
        """Give a page the address that it may send files to."""
        session = request.session_hash or ""
        return gr.HTML(address=f"uploads/{session}/{self.uploads.key(session)}")

    def leave(self, request: gr.Request) -> None:
        """Forget who closes the page."""
        self.sessions.close(request.session_hash)
        self.uploads.forget(request.session_hash or "")

    def _open_upload(self, name: str, request: gr.Request) -> tuple[Any, ...]:
        with self._session(request) as session, self.uploads.opened(request.session_hash or "", name) as path:
            return self._open(session, path)

    def _open_example(self, title: str, request: gr.Request) -> tuple[Any, ...]:
        with self._session(request) as session:
            path = self.examples[title](session.folder)
            try:
                return self._open(session, path)
            finally:
                if path.parent == session.folder:
                    path.unlink()

    def _open(self, session: Session, path: Path) -> tuple[Any, ...]:
        """Read a radiograph; the page forgets the results of the one before."""
        image = results.open_radiograph(session, path)
        drawing = gr.HTML(radiograph=f"{_images(session)}/{image}", value="")
        return page_texts.message("The radiograph is read."), drawing, "", "", "", "", "", ""

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
            done = "Segmented. Altered radiograph beside the radiograph as it is." if session.after else "Segmented."
            links = page_texts.download_links(session, results.offers(session))
            return page_texts.message(done), *_shown(session, measure, ellipses, kind), links, kind

    def _segment_live(self, live: bool, request: gr.Request, *settings: Any) -> tuple[Any, ...]:
        with self._session(request) as session:
            wanted = live and session.radiograph is not None
        inputs: list[Any] = [*settings, request]
        return self._segment(*inputs) if wanted else (gr.skip(),) * 8

    def _view(self, measure: Measure, ellipses: bool, kind: str, request: gr.Request) -> tuple[Any, ...]:
        with self._session(request) as session:
            return _shown(session, measure, ellipses, kind)

    @contextmanager
    def _session(self, request: gr.Request) -> Iterator[Session]:
        """Yield the user's session, alone; show the user what is wrong with a radiograph or a setting."""
        try:
            with self.sessions.use(request.session_hash) as session:
                yield session
        except (ValueError, OSError, MemoryError, RecursionError) as error:
            sentence = _sentence(error)
            # Gradio shows errors as HTML, and a sentence may name what a DICOM header says.
            shown = escape(f"{sentence[:1].upper()}{sentence[1:]}.", quote=False)
            raise gr.Error(shown, duration=None, print_exception=False) from error


def _sentence(error: Exception) -> str:
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, OSError):
        return "no room for files on this machine"
    return "this radiograph needs more memory than this machine has for it; reduce it"


def _images(session: Session) -> str:
    return f"images/{session.token}"


def _shown(session: Session, measure: Measure, ellipses: bool, kind: str) -> tuple[Any, ...]:
    """Return figures, verdict, change, measures and plot of the session's latest result."""
    before, after = session.before, session.after
    if before is None:
        return ("",) * 5
    shown = [before] if after is None else [before, after]
    end = figure.scale_end(shown, measure)
    titles = ("Radiograph as it is", "Altered radiograph")
    radiographs = "".join(
        figure.draw_figure(one, title, measure, end, images=_images(session), ellipses=ellipses)
        for one, title in zip(shown, titles, strict=False)
    )
    return (
        f'<div class="radiographs">{radiographs}</div>{figure.color_bar(measure, end, shown[-1].result)}',
        page_texts.verdict(shown[-1], altered=after is not None),
        page_texts.change_table(before, after) if after else "",
        page_texts.measures(shown[-1], altered=after is not None),
        draw_plot(results.points(session, kind, measure), kind, measure),
    )


def build_page(model: Model, sessions: Sessions, uploads: Uploads, *, device: str = "auto") -> gr.Blocks:
    """Build the page.

    Args:
        model: from `monai_chexmask_u.model.load_model`.
        sessions: of its users; the page closes each when its user leaves.
        uploads: where the files lie that its users send.
        device: as `Segmenter` takes it.
    """
    with gr.Blocks(title="CheXmask-U: outlines with uncertainty", analytics_enabled=False) as page:
        gr.Markdown(_TITLE)
        functions = _Page(model, sessions, uploads, device)
        page.load(functions.welcome, None, functions.upload, api_visibility="private")
        page.unload(functions.leave)
    page.queue(max_size=_QUEUE, default_concurrency_limit=1, api_open=False)
    page.state_session_capacity = _STATES
    return page


def event_checks(page: gr.Blocks) -> dict[int, list[Check]]:
    """Return how to check what comes for each function that the page calls, by the function's number."""
    called = {
        number: function
        for number, function in page.fns.items()
        if function.fn is not None and not any(event == "unload" for _, event in function.targets)
    }
    return {number: [_check(component) for component in function.inputs] for number, function in called.items()}


def _check(component: Any) -> Check:
    """Return the check whether a value is one of a component.

    Raises:
        TypeError: if the component is of a kind that no rule is known for.
    """
    if isinstance(component, gr.Slider):
        return is_number(component.minimum, component.maximum, whole=component.elem_id == "samples")
    if isinstance(component, (gr.Radio, gr.Dropdown)):
        return is_choice([value for _, value in component.choices])
    if isinstance(component, gr.Checkbox):
        return is_flag
    if component.elem_id == "upload":
        return is_text("[A-Za-z0-9_-]+", 64)
    if component.elem_id == "drawing":
        return is_text("(?:data:image/png;base64,[A-Za-z0-9+/]+={0,2})?", MAX_MASK_CHARACTERS)
    raise TypeError(f"there is no rule for values of {component}")
