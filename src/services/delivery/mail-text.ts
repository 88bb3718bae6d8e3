import type { Mail } from "../mailer.ts";
import type { NotificationFacts } from "./sender.ts";

/** A notification as a mail: its title is the subject, its message the text; a link of its action stands below. */
export function mailOf(
  { title, message, action }: Pick<NotificationFacts, "title" | "message" | "action">,
  id: string,
): Omit<Mail, "to"> {
  const link = linkOf(action);
  const text = link ? `${message}\n\n${link.label}: ${link.url}\n` : `${message}\n`;
  return { subject: title, text, html: htmlOf(title, message, link), id };
}

interface Link {
  readonly url: string;
  readonly label: string;
}

function linkOf(action: string | null): Link | null {
  const { url, label } = Object(action === null ? null : JSON.parse(action)) as { url?: unknown; label?: unknown };
  if (typeof url !== "string") return null;
  return { url, label: typeof label === "string" && label !== "" ? label : "Open" };
}

/** One column without styles of its own but a width: every client shows it, also without images or a network. */
function htmlOf(title: string, message: string, link: Link | null): string {
  const paragraphs = message
    .split(/\n{2,}/)
    .map((paragraph) => `<p>${escapeHtml(paragraph).replaceAll("\n", "<br>")}</p>`)
    .join("\n");
  const anchor = link ? `\n<p><a href="${escapeHtml(link.url)}">${escapeHtml(link.label)}</a></p>` : "";
  return `<!doctype html>
<html><head><meta charset="utf-8"><title>${escapeHtml(title)}</title></head>
<body style="max-width: 40em; font-family: sans-serif">
<h1 style="font-size: 1.2em">${escapeHtml(title)}</h1>
${paragraphs}${anchor}
</body></html>
`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it may stand between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
