import { escapeHtml } from "../../core/text/clean-text.ts";
import type { PublicPage } from "./public-page.ts";
import { COMPONENT_WORDS, NOTICE_WORDS } from "./words.ts";

const MAX_ENTRIES = 50;

interface Entry {
  readonly id: string;
  readonly title: string;
  readonly updated: string;
  readonly text: string;
}

/** An Atom feed (RFC 4287) of notices and, if the page shows them, disturbances. */
export function feedXml(page: PublicPage, url: string): string {
  const entries = [...noticeEntries(page), ...(page.showsIncidents ? disturbanceEntries(page) : [])]
    .sort((a, b) => (a.updated < b.updated ? 1 : -1))
    .slice(0, MAX_ENTRIES);
  const items = entries.map(
    ({ id, title, updated, text }) => `<entry><id>${escapeHtml(`${url}#${id}`)}</id><title>${escapeHtml(title)}</title>
<updated>${updated}</updated><link href="${escapeHtml(url)}"/><content type="text">${escapeHtml(text)}</content></entry>`,
  );
  return `<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><id>${escapeHtml(url)}</id><title>${escapeHtml(page.title)}</title>
<updated>${entries[0]?.updated ?? "1970-01-01T00:00:00.000Z"}</updated><author><name>${escapeHtml(page.title)}</name></author>
<link href="${escapeHtml(url)}"/><link rel="self" href="${escapeHtml(url)}/feed.atom"/>
${items.join("\n")}
</feed>
`;
}

function noticeEntries({ current, planned, past }: PublicPage): Entry[] {
  return [...current, ...planned, ...past].map(({ id, title, state, startsAt, endsAt, updates }) => ({
    id: `notice-${id}`,
    title: `${title} (${NOTICE_WORDS[state]})`,
    updated: updates[0]?.at ?? startsAt,
    text: [
      ...(endsAt === null ? [] : [`${startsAt} to ${endsAt}`]),
      ...updates.map((update) => `${update.at} ${NOTICE_WORDS[update.state]}: ${update.text}`),
    ].join("\n"),
  }));
}

function disturbanceEntries({ groups }: PublicPage): Entry[] {
  return groups
    .flatMap(({ components }) => components)
    .flatMap(({ id, name, disturbances }) =>
      disturbances.map(({ from, to, state }) => ({
        id: `${id}-${Date.parse(from)}`,
        title: `${name}: ${COMPONENT_WORDS[state]}${to === null ? "" : ", over"}`,
        updated: to ?? from,
        text: `${from} to ${to ?? "now"}`,
      })),
    );
}
