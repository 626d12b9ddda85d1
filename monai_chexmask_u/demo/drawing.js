// What is drawn is kept in an image of its own: the page may replace the visible canvas at any time.
const drawing = document.createElement("canvas");
let last = null;

const radiograph = () => element.querySelector(".pad img");
const canvas = () => element.querySelector(".pad canvas");

function fit() {
  const image = radiograph();
  if (!image || !image.naturalWidth) return;
  for (const each of [drawing, canvas()]) {
    if (each.width !== image.naturalWidth || each.height !== image.naturalHeight) {
      each.width = image.naturalWidth;
      each.height = image.naturalHeight;
    }
  }
  show();
}

function show() {
  const visible = canvas();
  const context = visible.getContext("2d");
  context.clearRect(0, 0, visible.width, visible.height);
  context.drawImage(drawing, 0, 0);
}

function restore() {
  fit();
  drawing.getContext("2d").clearRect(0, 0, drawing.width, drawing.height);
  if (!props.value) return show();
  const image = new Image();
  image.onload = () => { drawing.getContext("2d").drawImage(image, 0, 0); show(); };
  image.src = props.value;
}

function position(event) {
  const visible = canvas();
  const box = visible.getBoundingClientRect();
  return [(event.clientX - box.left) * visible.width / box.width, (event.clientY - box.top) * visible.height / box.height];
}

function stroke(event) {
  const point = position(event);
  const context = drawing.getContext("2d");
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = Number(props.brush) || 40;
  context.strokeStyle = "black";
  context.beginPath();
  context.moveTo(...(last || point));
  context.lineTo(point[0] + 0.01, point[1]);
  context.stroke();
  last = point;
  show();
}

element.addEventListener("load", event => { if (event.target === radiograph()) fit(); }, true);
element.addEventListener("pointerdown", event => {
  if (event.target !== canvas() || !radiograph().naturalWidth || event.button !== 0) return;
  event.preventDefault();
  event.target.setPointerCapture(event.pointerId);
  fit();
  last = null;
  stroke(event);
  last = position(event);
});
element.addEventListener("pointermove", event => { if (last && event.target === canvas()) stroke(event); });
for (const end of ["pointerup", "pointercancel"]) {
  element.addEventListener(end, () => {
    if (!last) return;
    last = null;
    props.value = drawing.toDataURL("image/png");
    requestAnimationFrame(() => requestAnimationFrame(fit));
    trigger("input");
  });
}
watch(["value", "radiograph"], restore);
fit();
