// A deal beside the board. The address says which (?deal=…), so Back closes it and a reload keeps it.
import { board, cardOf } from "./board.js";

const panel = document.getElementById("panel");
const openDeal = () => panel.querySelector("[data-open-deal]")?.dataset.openDeal;

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest(".card .t");
  if (link) event.preventDefault(), open(link.closest(".card").dataset.dealId, link.href);
  else if (event.target.closest("#panel [data-close]")) event.preventDefault(), close();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || !openDeal() || document.querySelector("dialog[open], .dragging, #panel :popover-open")) return;
  // The first Escape leaves a text that is being written, the second closes.
  event.target.matches("#panel :is(input, textarea, select)") ? panel.querySelector("#deal-name").focus() : close();
});

async function open(deal, url) {
  const address = new URL(location.href);
  address.hash = "";
  // Coming back to an address with a # would take the focus there, away from the card.
  if (location.hash) history.replaceState(history.state, "", address);
  address.searchParams.set("deal", deal);
  if (await load(url)) history[openedHere() ? "replaceState" : "pushState"]({ deal: url }, "", address);
}

/** Fetch the deal into the panel; whether it came. Without an answer the link is followed as if there were no script. */
async function load(url) {
  panel.dataset.wanted = url;
  await htmx.ajax("GET", url, { source: panel, target: panel, swap: "innerHTML" });
  if (panel.dataset.wanted !== url) return false;
  mark();
  const came = url.endsWith(openDeal() ?? " ");
  if (!came) location.href = url;
  panel.querySelector("#deal-name")?.focus({ preventScroll: true });
  cardOf(openDeal())?.scrollIntoView({ block: "nearest", inline: "nearest" });
  return came;
}

const openedHere = () => Boolean(history.state?.deal);

function close() {
  if (openedHere()) return history.back();
  const address = new URL(location.href);
  address.searchParams.delete("deal");
  history.replaceState(null, "", address);
  empty();
}

function empty() {
  const deal = openDeal();
  panel.dataset.wanted = "";
  panel.replaceChildren();
  mark();
  if (deal) cardOf(deal)?.querySelector(".t").focus({ preventScroll: true });
}

addEventListener("popstate", ({ state }) => (state?.deal ? load(state.deal) : openDeal() && empty()));

/** The open deal's card has the ring of selection. */
function mark() {
  const card = cardOf(openDeal());
  for (const other of board().querySelectorAll(".card.open")) if (other !== card) other.classList.remove("open");
  card?.classList.add("open");
}

mark();
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  mark();
  if (document.activeElement !== document.body || (ctx.target?.id !== "deal-panel" && !ctx.sourceElement?.matches(".undo, .toast form"))) return;
  // What had the focus is gone: a form, the panel, an Undo. One goes on at what is wrong, else at the name, else at the card.
  const next = panel.querySelector(".conflict input, [aria-invalid], #deal-name") ?? cardOf(ctx.sourceElement.dataset.deal)?.querySelector(".t");
  next?.focus({ preventScroll: true });
});
