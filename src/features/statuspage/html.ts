import { escapeHtml } from "../../core/text/clean-text.ts";
import { zoneOffsetMs } from "../../core/time/clock.ts";
import type { ComponentState } from "../../store/schema.ts";
import type { PublicComponent, PublicNotice, PublicPage, PublicWindow } from "./public-page.ts";
import { COMPONENT_WORDS, NOTICE_WORDS, OVERALL_WORDS, uptimeText } from "./words.ts";

/** The addresses of a page relative to it: a proxy may serve it below a prefix. */
interface Links {
  readonly slug: string;
  readonly version: string;
}

/** Text of an operator: its direction cannot change that of its surroundings. */
function given(text: string): string {
  return `<bdi>${escapeHtml(text)}</bdi>`;
}

/** The page. It needs no script; one refreshes it. */
export function pageHtml(page: PublicPage, { slug, version }: Links): string {
  const base = escapeHtml(slug);
  const main = [
    overall(page),
    ...page.current.map((notice) => noticeHtml(page, notice, "h2")),
    ...page.groups.map((group, i) => groupHtml(page, group, i)),
    plannedHtml(page),
    page.showsIncidents ? pastHtml(page) : "",
    page.hasSubscriptions ? subscribeHtml(base) : "",
  ];
  return documentHtml({
    title: `${page.title}: ${overallOf(page).text}`,
    head: `<link rel="stylesheet" href="${base}/style.css?v=${version}">
<link rel="alternate" type="application/atom+xml" title="${escapeHtml(page.title)}" href="${base}/feed.atom">
<script src="${base}/live.js?v=${version}" defer></script>`,
    body: `<header><h1>${given(page.title)}</h1>
${page.description === "" ? "" : `<p class="muted">${given(page.description)}</p>`}</header>
<main aria-live="polite">
${main.filter((part) => part !== "").join("\n")}
</main>
<footer><a href="${base}/feed.atom">Feed</a> <a href="${base}.json">JSON</a>
<span class="muted">Times in ${escapeHtml(page.timezone)}</span></footer>`,
  });
}

/** A page with one message, such as the answer to a subscription. @param body HTML */
export function messageHtml(title: string, body: string, { slug, version }: Links): string {
  const head = `<link rel="stylesheet" href="style.css?v=${version}">`;
  const back = `<p><a href="../${escapeHtml(slug)}">Back to the status page</a></p>`;
  return documentHtml({
    title,
    head,
    body: `<header><h1>${escapeHtml(title)}</h1></header>\n<main>${body}\n${back}</main>`,
  });
}

function documentHtml({
  title,
  head,
  body,
}: {
  readonly title: string;
  readonly head: string;
  readonly body: string;
}): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>${escapeHtml(title)}</title>
${head}</head>
<body>
${body}
</body></html>
`;
}

function overall(page: PublicPage): string {
  const { state, text } = overallOf(page);
  return `<p class="overall ${state}" role="status"><span class="dot" aria-hidden="true"></span>${text}</p>`;
}

/** The headline: a notice changes no component, but must not contradict it. */
function overallOf({ state, current }: PublicPage): { readonly state: ComponentState; readonly text: string } {
  const isOpen = (kind: PublicNotice["kind"]) => state === "operational" && current.some((each) => each.kind === kind);
  if (isOpen("incident")) return { state: "degraded", text: "Incident in progress" };
  const shown = isOpen("maintenance") ? "maintenance" : state;
  return { state: shown, text: OVERALL_WORDS[shown] };
}

function groupHtml(page: PublicPage, { name, components }: PublicPage["groups"][number], i: number): string {
  if (components.length === 0) return "";
  const heading = name === "" ? `<h2 class="hidden">Components</h2>` : `<h2>${given(name)}</h2>`;
  const rows = components.map((component) => componentHtml(page, component)).join("\n");
  return `<section aria-label="${escapeHtml(name === "" ? `Components ${i + 1}` : name)}">${heading}
<ul class="card">
${rows}
</ul></section>`;
}

function componentHtml({ timezone }: PublicPage, component: PublicComponent): string {
  const { name, description, state, since, uptime, days } = component;
  const bars = days
    .map(({ date, state: worst, uptime: share }) => {
      const said = worst === null ? "no data" : `${COMPONENT_WORDS[worst]}, ${uptimeText(share)}`;
      return `<span class="${worst ?? "none"}" title="${date}: ${said}"></span>`;
    })
    .join("");
  const span = days.length === 1 ? "today" : `the last ${days.length} days`;
  const text = `Uptime of ${span}: ${uptimeText(uptime)}`;
  const sinceText =
    state !== "operational" && since !== null ? ` <span class="muted">since ${timeHtml(since, timezone)}</span>` : "";
  return `<li><div class="row"><h3>${given(name)}</h3><span class="state ${state}">${COMPONENT_WORDS[state]}</span></div>
${description === "" && sinceText === "" ? "" : `<p class="muted small">${given(description)}${sinceText}</p>`}
<div class="days" role="img" aria-label="${text}">${bars}</div>
<p class="row small muted"><span>${days.length === 1 ? "Today" : `${days.length} days ago`}</span><span>${uptimeText(uptime)}</span><span>${days.length === 1 ? "" : "Today"}</span></p></li>`;
}

function noticeHtml({ timezone }: PublicPage, notice: PublicNotice, heading: "h2" | "h3"): string {
  const { kind, title, state, components, startsAt, endsAt, updates } = notice;
  const when =
    endsAt === null ? timeHtml(startsAt, timezone) : `${timeHtml(startsAt, timezone)} to ${timeHtml(endsAt, timezone)}`;
  const items = updates
    .map(
      (update) =>
        `<li><strong>${NOTICE_WORDS[update.state]}</strong> <span class="muted">${timeHtml(update.at, timezone)}</span>` +
        `${update.text === "" ? "" : `<p class="text">${given(update.text)}</p>`}</li>`,
    )
    .join("\n");
  const concerned =
    components.length === 0 ? "" : `<p class="muted small">Concerns ${components.map(given).join(", ")}</p>`;
  return `<article class="card notice ${kind}${state === "resolved" || state === "completed" ? " over" : ""}">
<div class="row"><${heading}>${given(title)}</${heading}><span class="state">${NOTICE_WORDS[state]}</span></div>
<p class="muted small">${when}</p>${concerned}
<ol class="updates">
${items}
</ol></article>`;
}

function plannedHtml(page: PublicPage): string {
  if (page.planned.length === 0 && page.maintenance.length === 0) return "";
  const windows = page.maintenance.map((window) => windowHtml(page, window));
  return `<section aria-label="Maintenance"><h2>Maintenance</h2>
${[...page.planned.map((notice) => noticeHtml(page, notice, "h3")), ...windows].join("\n")}</section>`;
}

function windowHtml({ timezone }: PublicPage, { title, state, startsAt, endsAt }: PublicWindow): string {
  return `<article class="card notice maintenance"><div class="row"><h3>${given(title)}</h3><span class="state">${NOTICE_WORDS[state]}</span></div>
<p class="muted small">${timeHtml(startsAt, timezone)} to ${timeHtml(endsAt, timezone)}</p></article>`;
}

interface Past {
  readonly at: string;
  readonly html: string;
}

const MAX_PAST = 50;

function pastHtml(page: PublicPage): string {
  const entries: Past[] = [
    ...page.past.map((notice) => ({ at: notice.startsAt, html: noticeHtml(page, notice, "h3") })),
    ...page.groups.flatMap(({ components }) =>
      components.flatMap(({ name, disturbances }) =>
        disturbances.map(({ from, to, state }) => ({
          at: from,
          html: disturbanceHtml(page, name, { from, to, state }),
        })),
      ),
    ),
  ].sort((a, b) => (a.at < b.at ? 1 : -1));
  const body =
    entries.length === 0
      ? `<p class="muted">No disturbances in the time shown.</p>`
      : entries
          .slice(0, MAX_PAST)
          .map(({ html }) => html)
          .join("\n");
  return `<section aria-label="History"><h2>History</h2>\n${body}</section>`;
}

function disturbanceHtml(
  { timezone }: PublicPage,
  name: string,
  { from, to, state }: { readonly from: string; readonly to: string | null; readonly state: ComponentState },
): string {
  const end = to === null ? "now" : timeHtml(to, timezone);
  return `<p class="past"><span class="state ${state}">${COMPONENT_WORDS[state]}</span> ${given(name)} <span class="muted small">${timeHtml(from, timezone)} to ${end}</span></p>`;
}

function subscribeHtml(base: string): string {
  return `<section aria-label="Subscribe"><h2>Subscribe</h2>
<form class="card" method="post" action="${base}/subscribe"><label for="email">Mail address</label>
<div class="row"><input id="email" name="email" type="email" required maxlength="254" autocomplete="email"><button>Subscribe</button></div>
<p class="muted small">You receive a mail with a link that confirms the address. Each mail has a link to end it.</p></form></section>`;
}

function timeHtml(at: string, timezone: string): string {
  const epoch = Date.parse(at);
  const local = new Date(epoch + zoneOffsetMs(timezone, epoch)).toISOString();
  return `<time datetime="${at}">${local.slice(0, 10)} ${local.slice(11, 16)}</time>`;
}
