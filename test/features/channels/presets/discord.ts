import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const PATH = "/api/webhooks/123456789012345678/abcDEFsecret-token_0123456789";

/** https://discord.com/developers/docs/resources/message#embed-object-embed-limits */
function problemOf(body: unknown): string | null {
  const embeds = at(body, "embeds");
  if (!Array.isArray(embeds) || embeds.length > 10) return "embeds";
  if (!Array.isArray(at(body, "allowed_mentions", "parse"))) return "allowed_mentions";
  let total = 0;
  for (const embed of embeds as unknown[]) {
    const fields = (at(embed, "fields") ?? []) as unknown[];
    const limits: [string, number][] = [
      [textAt(embed, "title"), 256],
      [textAt(embed, "description"), 4096],
      [textAt(embed, "footer", "text"), 2048],
      ...fields.map((field): [string, number] => [textAt(field, "name"), 256]),
      ...fields.map((field): [string, number] => [textAt(field, "value"), 1024]),
    ];
    if (fields.length > 25 || fields.some((field) => textAt(field, "name") === "" || textAt(field, "value") === ""))
      return "fields";
    if (typeof at(embed, "color") !== "number" || Number.isNaN(Date.parse(textAt(embed, "timestamp")))) return "embed";
    if (limits.some(([text, limit]) => text.length > limit)) return "BASE_TYPE_MAX_LENGTH";
    total += limits.reduce((sum, [text]) => sum + text.length, 0);
  }
  return total > 6000 ? "MAX_EMBED_SIZE_EXCEEDED" : null;
}

function shownBy(body: unknown): { text: string; mentions: string[] } {
  const embed = at(body, "embeds", 0);
  const fields = (at(embed, "fields") ?? []) as unknown[];
  const texts = fields.flatMap((field) => [textAt(field, "name"), textAt(field, "value")]);
  const text = [textAt(embed, "title"), textAt(embed, "description"), ...texts].join("\n");
  // Without allowed_mentions, Discord would notify those in `content`.
  return {
    text,
    mentions: (at(body, "allowed_mentions", "parse") as string[]).concat(textAt(body, "content") ? ["content"] : []),
  };
}

export function discordWebhook(): Service {
  return {
    preset: "discord",
    fields: (base) => ({ url: `https://discord.com${PATH}`, api: base }),
    secrets: [`https://discord.com${PATH}`, "abcDEFsecret-token_0123456789"],
    answer({ method, path, query, json }: StandInRequest, seen: Seen[]): Reply {
      if (!path.startsWith(PATH)) return { status: 404, body: { message: "Unknown Webhook", code: 10015 } };
      const [, id] = /\/messages\/(\w+)$/.exec(path) ?? [];
      const known = seen.find((message) => message.id === id);
      if (id !== undefined && !known) return { status: 404, body: { message: "Unknown Message", code: 10008 } };
      const problem = problemOf(json);
      if (problem) return { status: 400, body: { code: 50035, message: "Invalid Form Body", errors: { problem } } };
      if (known && method === "PATCH") Object.assign(known, shownBy(json), { edits: known.edits + 1 });
      else seen.push({ id: `110000000000000000${seen.length + 1}`, edits: 0, ...shownBy(json) });
      if (!known && query.get("wait") !== "true") return { status: 204 };
      return { status: 200, body: { id: known?.id ?? seen.at(-1)?.id, type: 0 } };
    },
  };
}
