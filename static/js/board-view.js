// What part of the board is in sight: the filter in the address, and on a phone the stage whose lane fills the screen.
import { board } from "./board.js";

document.getElementById("filters").addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  const address = new URL(location.href);
  const asked = new URL(ctx.request.action, location.href).searchParams;
  for (const name of ["q", "mine", "rotting", "overdue", "no_step"])
    asked.get(name) ? address.searchParams.set(name, asked.get(name)) : address.searchParams.delete(name);
  history.replaceState(history.state, "", address);
});

const strip = document.getElementById("strip");
let inSight = null;

const point = () => [...strip.children].forEach((tab) => (tab.ariaCurrent = tab.hash === `#${inSight}` ? "true" : null));

const watch = new IntersectionObserver((entries) => {
  const seen = entries.find((entry) => entry.isIntersecting);
  if (!seen || strip.offsetParent === null) return;
  inSight = seen.target.id;
  point();
  const tab = strip.querySelector("[aria-current]");
  strip.scrollTo({ left: tab.offsetLeft - (strip.clientWidth - tab.offsetWidth) / 2 });
}, { root: board(), threshold: 0.6 });

strip.addEventListener("click", (event) => {
  const tab = event.target.closest("a");
  if (tab) event.preventDefault(), document.querySelector(tab.hash).scrollIntoView({ inline: "start", block: "nearest" });
});

function observe() {
  for (const lane of board().querySelectorAll(".lane")) watch.observe(lane);
  point();
}

observe();
document.addEventListener("htmx:after:swap", observe);
