import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const TOKEN = "tk_abcdefghijklmnopqrstuvwxyz012";
const TOPIC = "prism-secret-topic";

function failed(http: number, code: number, error: string): Reply {
  return { status: http, body: { code, http, error, link: "https://ntfy.sh/docs/publish/" } };
}

/** https://docs.ntfy.sh/publish/#publish-as-json, and its limits. */
export function ntfyServer(): Service {
  return {
    preset: "ntfy",
    fields: (base) => ({ url: `${base}/`, topic: TOPIC, token: TOKEN }),
    secrets: [TOKEN, TOPIC],
    isIdempotent: true,
    answer({ method, path, headers, json, text }: StandInRequest, seen: Seen[]): Reply {
      if (method !== "POST" || path !== "/") return failed(404, 40401, "page not found");
      if (headers.authorization !== `Bearer ${TOKEN}`) return failed(401, 40101, "unauthorized");
      if (at(json, "topic") !== TOPIC) return failed(403, 40301, "forbidden");
      if (Buffer.byteLength(text) > 8192) return failed(413, 41301, "entity too large");
      if (Buffer.byteLength(textAt(json, "message")) > 4096) return failed(413, 41302, "message too large");
      const priority = at(json, "priority");
      if (typeof priority !== "number" || priority < 1 || priority > 5) return failed(400, 40007, "invalid priority");
      const sequence = textAt(json, "sequence_id");
      if (!/^[-_A-Za-z0-9]{1,64}$/.test(sequence)) return failed(400, 40049, "invalid sequence ID");
      const shown = { text: `${textAt(json, "title")}\n${textAt(json, "message")}`, mentions: [] };
      const known = seen.find(({ id }) => id === sequence);
      if (known) Object.assign(known, shown, { edits: known.edits + 1 });
      else seen.push({ id: sequence, edits: 0, ...shown });
      return { status: 200, body: { id: `m${seen.length}`, event: "message", topic: TOPIC } };
    },
  };
}
