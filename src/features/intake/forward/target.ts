import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { openedText, type SealedBox } from "../../../core/crypto/sealed-box.ts";
import { invalidField } from "../../../core/errors.ts";
import { given, json, orNull } from "../../../http/api/resource.ts";
import { doc, text } from "../../../http/api/shapes.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import { reauthorize } from "../../access/index.ts";

/* Where a receiver or an integration of a mirror passes its requests on: its members, columns and checks. */

/** The tables with such a target. */
export type ForwardKind = "receivers" | "integrations";

/** Columns of a target. */
export interface ForwardTarget {
  /** Sealed. */
  readonly forwardUrl: Uint8Array | null;
  readonly forwardHeaders: string | null;
}

interface GivenTarget {
  readonly forwardUrl?: string | null | undefined;
  readonly forwardHeaders?: readonly string[] | null | undefined;
}

/** Made for each request, or of the connection. */
export const OWN_HEADERS: ReadonlySet<string> = new Set([
  ...["host", "content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive", "te", "trailer"],
  ...["upgrade", "expect", "proxy-authenticate", "proxy-authorization", "proxy-connection", "x-prism-forwarded"],
]);
const headerName = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/, "must be a header's name in lower case"),
  v.check((name) => !OWN_HEADERS.has(name), "is never passed on"),
);

/** The member of requests. */
export const forwardUrl = v.optional(
  v.nullable(
    doc(
      text(2048, 1),
      "Only in a mirror (`settings.mirror`), by its owners: where each accepted request is passed on, to the system " +
        "that still notifies people. Stored sealed, and never shown",
    ),
  ),
);

/** The member of requests and answers. */
export const forwardHeaders = () =>
  given(
    v.nullable(v.pipe(v.array(headerName), v.maxLength(20))),
    "Headers that are passed on besides Content-Type, User-Agent and signatures, such as `authorization`",
    orNull(json<string[]>()),
  )
    .or(null)
    .shown(v.nullable(v.array(v.string())));

/** The member of answers. */
export const forwardShown = doc(
  v.nullable(
    v.object({
      waiting: doc(v.number(), "Requests that wait to be passed on"),
      problem: doc(v.nullable(v.string()), "Why the last one was not passed on; null: nothing is wrong"),
    }),
  ),
  "Whether accepted requests of a mirror are passed on; null: they are not",
);

export function forwardSealContext(kind: ForwardKind, id: string): string {
  return `${kind}.forwardUrl.${id}`;
}

/** Null: there is none, or no key opens it. */
export function openedForward(
  box: SealedBox,
  kind: ForwardKind,
  { id, forwardUrl: sealed }: { readonly id: string } & Pick<ForwardTarget, "forwardUrl">,
): string | null {
  return sealed && openedText(box, forwardSealContext(kind, id), sealed);
}

/** The column of a given URL. */
export function sealedForward(
  box: SealedBox,
  kind: ForwardKind,
  id: string,
  url: string | null | undefined,
): Partial<Pick<ForwardTarget, "forwardUrl">> {
  if (url === undefined) return {};
  return { forwardUrl: url === null ? null : box.seal(forwardSealContext(kind, id), Buffer.from(url)) };
}

/**
 * Asks in the transaction that stores a target whether the caller manages the project, and whether it is a mirror.
 * @throws UNAUTHORIZED_ROLE, VALIDATION_FAILED
 */
export async function requireMayForward(
  context: Uses<"projects" | "principals">,
  trx: Trx,
  caller: PermissionHolder,
  projectId: string,
  { forwardUrl: url, forwardHeaders: headers }: GivenTarget,
  old: ForwardTarget = { forwardUrl: null, forwardHeaders: null },
): Promise<void> {
  const asText = headers && JSON.stringify(headers);
  const isUrlSame = url === undefined || (url === null && old.forwardUrl === null);
  if (isUrlSame && (headers === undefined || asText === old.forwardHeaders)) return;
  const { settings } = await reauthorize(context, caller, projectId, "project:manage", trx);
  if (url && !(JSON.parse(settings) as { mirror?: unknown }).mirror)
    throw invalidField(
      "body",
      "forwardUrl",
      "only a mirror passes requests on: set settings.mirror of the project first",
    );
}
