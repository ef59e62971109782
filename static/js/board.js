// A move, from the drop to the answer. Drag, keys and the dialog call `move`: the card goes to its new place, the page's one
// form is filled in and sent, and the answer draws the columns as the database has them. Sums are never guessed here.
const [form, live, alerts] = ["move-form", "live", "alerts"].map((id) => document.getElementById(id));
export const dialog = document.getElementById("move-dialog");
const FIRST = 25; // cards that a lane shows without being asked for more

/** Moves under way, oldest first; only the first one has been sent. */
const moves = [];
/** Moves that nobody knows the fate of, and the notice that tells of them. */
let unsaved = [];
let [notice, dragging] = [null, false];
let letGo = () => {}; // what waits for the end of a drag

export const board = () => document.getElementById("board");
export const lanes = () => [...board().querySelectorAll(".lane")];
export const laneOf = (element) => element.closest(".lane");
export const cardOf = (deal) => document.getElementById(`deal-${deal}`);
export const listOf = (stage) => document.getElementById(`cards-${stage}`);
export const mayMove = (card) => card.querySelector(".mv") !== null;
export const idle = () => moves.length === 0 && !dragging;
export const setDragging = (is) => (dragging = is) || letGo();

/** The next (or with -1 the previous) card in the same lane; other rows do not count. */
export function neighbour(card, step = 1) {
  const next = step > 0 ? card.nextElementSibling : card.previousElementSibling;
  return next === null || next.matches(".card") ? next : neighbour(next, step);
}

/** Where a card lies now, to put it back. */
export const homeOf = (card) => ({ list: card.parentElement, next: card.nextElementSibling });

/** Tell those who listen; twice the same words are told twice. */
export function say(words) {
  const place = document.getElementById("say");
  place.textContent = "";
  setTimeout(() => (place.textContent = words), 20);
}

/**
 * Move a deal. `to` is the stage; `before` or `after` a deal there, `position` "1" or a large number, none of them = on top.
 * `card` may be missing (the deal's panel is open, its card is not shown); `home` is where it came from; `given` more fields.
 */
export function move({ card, deal = card.dataset.dealId, from = laneOf(card).dataset.stageId, home = card && homeOf(card), ...rest }) {
  const version = rest.version ?? card.dataset.version;
  const key = crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join("-");
  start({ ...rest, card, deal, from, home, version, key });
}

function start(one) {
  one.focus = one.card?.contains(document.activeElement);
  place(one);
  if (moves.push(one) === 1) send();
}

async function send() {
  if (dialog.open) await new Promise((closed) => dialog.addEventListener("close", closed, { once: true })); // one question at a time
  const one = moves[0];
  const { deal, to, from, version, key } = one;
  fill({ stage_id: to, from_stage_id: from, seen_version: version, before_id: one.before, after_id: one.after,
         position: one.position, idempotency_key: key }, one.given);
  await htmx.ajax("POST", one.url ?? form.dataset.action.replace("{id}", deal), { source: form, swap: "none", fetch: answered });
  moves.shift();
  if (!one.told) lost(one);
  else if (unsaved.length) alerts.append(notice);
  if (!one.answer?.ok) look();
  if (document.activeElement === document.body) cardOf(deal)?.querySelector(".t").focus({ preventScroll: true });
  if (moves.length) send();
}

/** The answer, kept back while the next card is in the hand: nothing may be drawn under it. */
async function answered(...request) {
  const answer = await fetch(...request);
  if (dragging) await new Promise((resolve) => (letGo = resolve));
  return answer;
}

/** Fill in the form: where to, what the person gave beside it, and what the page shows. Empty fields are not sent. */
function fill(values, given = []) {
  const more = given.filter(([name]) => !(name in values || form.elements[name]?.parentElement === form));
  put("asked", [...Object.entries(values).filter(([, value]) => value), ...more]);
  describe();
}

/** What this page shows: how many cards of each stage and in which version, under which filter. */
export function describe() {
  if (form.elements.view.value !== (form.elements.view.value = location.search.slice(1))) live.dataset.seen = ""; // a deal was opened
  put("shown", lanes().flatMap(({ dataset: { stageId, version }, children: [, body] }) =>
    [["shown", `${stageId}:${Math.max(FIRST, body.querySelectorAll(".card").length)}`], ["seen", `${stageId}:${version}`]]));
}

/** Hidden fields of the form, in place of those that the part `id` of it had. */
function put(id, fields) {
  const hidden = ([name, value]) => Object.assign(document.createElement("input"), { type: "hidden", name, value });
  document.getElementById(id).replaceChildren(...fields.map(hidden));
}

/** Draw the card in the place that was asked for, marked as waiting. An answer to another move may have drawn it anew. */
function place(one) {
  const shown = cardOf(one.deal);
  if (shown && (shown !== one.card || !one.home)) Object.assign(one, { card: shown, home: homeOf(shown) });
  const { card, before, after, position, focus } = one;
  const list = listOf(one.to);
  if (!card || !list) return card?.setAttribute("aria-busy", "true"); // not shown, or bound for another board
  const rows = [...list.querySelectorAll(".card")].filter((row) => row !== card);
  const named = (deal) => rows.find((row) => row.dataset.dealId === deal);
  const above = position > 1 ? rows.at(-1) : named(after);
  const below = named(before) ?? (above ? neighbour(above) : rows[0]);
  const next = (below === card ? neighbour(card) : below) ?? list.querySelector(":scope > :not(.card)");
  if (card.parentElement !== list || card.nextElementSibling !== next) insert(card, list, next);
  card.setAttribute("aria-busy", "true");
  if (focus) card.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** A refusal: the card lies where it lay, and nobody hears of an earlier success any more. */
function putBack({ card, home }) {
  document.getElementById("say").textContent = "";
  if (!card) return;
  card.removeAttribute("aria-busy");
  insert(card, home.list, home.next?.parentElement === home.list ? home.next : null);
}

/** A moved element loses focus in some browsers. */
function insert(card, list, next) {
  const focused = card.contains(document.activeElement) ? document.activeElement : null;
  list.insertBefore(card, next);
  focused?.focus({ preventScroll: true });
}

/** No answer, or none that decides it: the card goes back, and the same move can be tried again. */
function lost(one) {
  putBack(one);
  unsaved = [...others(one), one];
  notice?.remove();
  notice = document.getElementById("not-saved").content.firstElementChild.cloneNode(true);
  notice.querySelector("[data-why]").textContent = one.answer ? problem(one.answer) : navigator.onLine ? "no answer" : "no connection";
  if (unsaved.length > 1) notice.querySelector("p").textContent = `${unsaved.length} cards are back where they were.`;
  notice.querySelector("[data-again]").addEventListener("click", tryAgain);
  alerts.append(notice);
}

async function tryAgain() {
  notice.remove();
  await look();
  // The same key: if the lost answer was a yes, the server says so again and moves nothing twice.
  for (const one of unsaved) start({ ...one, card: cardOf(one.deal), home: null, answer: undefined, told: false });
}

/** The unsaved moves of other deals; none once their notice was put away. */
const others = ({ deal }) => (notice?.isConnected ? unsaved.filter((one) => one.deal !== deal) : []);

/** What an answer says that is none, with the name under which the server's log has it. */
const problem = ({ status, headers }) =>
  `${status < 500 ? "refused" : "the server has a problem"} (${[status, headers.get("X-Request-ID")].filter(Boolean).join(", ")})`;

/** Ask for what changed; never while a card is on its way. */
export async function look() {
  if (!idle()) return;
  describe();
  await htmx.ajax("GET", live.getAttribute("hx-get"), { source: live, swap: "none" });
}

form.addEventListener("htmx:before:response", ({ detail: { ctx } }) =>
  Object.assign(moves[0], { answer: ctx.response, told: "redirect" in ctx.hx })); // signed out: the page is about to go to the sign-in

// A refusal first puts the card back, then its partials draw the truth over that.
form.addEventListener("htmx:before:swap", ({ detail: { ctx, tasks } }) => {
  const one = moves[0];
  one.told = ctx.response.status < 500 && tasks.some((task) => task.type === "partial");
  if (!one.told) return;
  unsaved = others(one);
  if (ctx.response.status >= 400) putBack(one);
  else alerts.replaceChildren();
});

// Cards of moves that still wait keep the place they were given.
document.addEventListener("htmx:after:swap", () => moves.filter((one) => !one.told).forEach(place));

// Other people's changes: the tag says which state this page has; an answer that comes at a bad moment is asked for again.
const tag = ({ request }) => live.dataset.seen && (request.headers["HX-PTag"] = live.dataset.seen);
live.addEventListener("htmx:config:request", ({ detail: { ctx } }) => tag(ctx));
live.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  if (!idle()) event.preventDefault();
  else if (ctx.response.status === 200) live.dataset.seen = ctx.response.headers.get("HX-PTag") ?? "";
});
setInterval(() => document.hidden || !navigator.onLine || look(), 2000);
addEventListener("focus", () => look());
addEventListener("click", ({ target }) => target.closest(".undo") && describe(), true); // an Undo tells what is shown, as a move does
