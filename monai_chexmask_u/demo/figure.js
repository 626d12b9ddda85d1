// Shows the numbers of the node under the pointer, or of the one chosen with the arrow keys.
function show(node) {
  const figure = node.closest("figure");
  figure.querySelectorAll(".node.chosen").forEach(other => other.classList.remove("chosen"));
  node.classList.add("chosen");
  figure.querySelector(".readout").textContent = node.dataset.tip;
}
element.addEventListener("pointerover", event => { if (event.target.matches(".node")) show(event.target); });
element.addEventListener("click", event => { if (event.target.matches(".node")) show(event.target); });
element.addEventListener("keydown", event => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.matches("svg")) return;
  event.preventDefault();
  const nodes = [...event.target.querySelectorAll(".node")];
  const current = nodes.findIndex(node => node.classList.contains("chosen"));
  show(nodes[(Math.max(current, step > 0 ? -1 : 0) + step + nodes.length) % nodes.length]);
});
