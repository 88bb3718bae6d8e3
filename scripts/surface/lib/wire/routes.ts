import type { ApiDocument } from "./document.ts";
import { distinct, filled } from "./makers.ts";
import type { Transcript } from "./transcript.ts";
import type { World } from "./world.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/** Each other path of an operation, once. */
export async function recordAliases(document: ApiDocument, world: World, transcript: Transcript): Promise<void> {
  const ends = (path: string): boolean => /\/auth\/|\/sse$/.test(path);
  for (const { id, method, path, aliasOf, bodies, tag } of document.operations) {
    if (aliasOf === null) continue;
    transcript.section(`${id}: ${method} ${path}, as ${aliasOf}`);
    const target = ends(path)
      ? path.replaceAll(/\{[^}]*\}/g, world.shop)
      : await targetOf(document, world, path, aliasOf);
    const { schema, example } = bodies["application/json"] ?? {};
    const body = schema === undefined || example === undefined ? undefined : distinct(example, world);
    // The document has a recorder of its own.
    const asked = /\/(?:sse|openapi\.json)$/.test(path) ? "HEAD" : method;
    await world.talk.record(transcript, "with an example", { method: asked, path: target, body }, tag !== "Operations");
    await world.talk.record(transcript, "without a credential", { method: asked, path: target, body, token: null });
  }
}

/** The alias with the values of the canonical path, in their order. */
async function targetOf(document: ApiDocument, world: World, path: string, canonical: string): Promise<string> {
  const values = (await filled(document, world, canonical))
    .split("/")
    .filter((_, at) => canonical.split("/")[at]?.startsWith("{"));
  return path.replaceAll(/\{[^}]*\}/g, () => values.shift() ?? "");
}

/** What each path answers to each method without a credential: a line with the statuses, and its methods. */
export async function recordMethods(document: ApiDocument, world: World, transcript: Transcript): Promise<void> {
  transcript.section(`Statuses of ${METHODS.join(", ")} without a credential, and the header Allow`);
  for (const path of new Set(document.operations.map((each) => each.path))) {
    const target = path.replaceAll(/\{[^}]*\}/g, "none");
    const statuses: number[] = [];
    let allow = "";
    for (const method of METHODS) {
      const isServed = document.operations.some((each) => each.path === path && each.method === method);
      // What is served without a credential may be a stream that does not end.
      if (isServed && method === "GET") continue;
      const { status, headers } = await world.talk.ask(method, target, undefined, { token: null });
      statuses.push(status);
      allow = headers.get("allow") ?? allow;
    }
    transcript.line(`${path}: ${statuses.join(" ")}, ${allow}`);
  }
}
