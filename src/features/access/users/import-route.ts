import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { decodeUtf8 } from "../../../core/json-text.ts";
import { type Route, route } from "../../../http/route.ts";
import { object, queryBoolean } from "../../../http/shapes.ts";
import type { AuditTrail } from "../../audit/index.ts";
import { type AccountFormat, readAccounts } from "../accounts/account-file.ts";
import { ImportedAccount } from "../accounts/account-shape.ts";
import { ACCOUNT_OUTCOMES, EXISTING, importAccounts } from "../accounts/import-accounts.ts";
import { granterOf } from "../accounts/role-grants.ts";
import { userOf } from "../caller-of.ts";
import type { UserAdminParts } from "./service.ts";

const FORMATS: Readonly<Record<string, AccountFormat>> = { "text/csv": "csv", "application/x-ndjson": "ndjson" };
const BYTE_ORDER_MARK_BYTES = 3;

const Query = object({
  existing: v.optional(
    v.pipe(
      v.picklist(EXISTING, "must be refuse, skip or update"),
      v.description("What to do with an account that is there and differs; default refuse"),
    ),
  ),
  dryRun: v.optional(queryBoolean),
});

const Imported = v.object({
  created: v.number(),
  updated: v.number(),
  unchanged: v.number(),
  skipped: v.number(),
  dryRun: v.boolean(),
  users: v.array(v.object({ id: v.nullable(v.string()), outcome: v.picklist(ACCOUNT_OUTCOMES) })),
});

/** Brings accounts of another program in. */
export function importRoute({ userAdmin, userLifecycle, clock }: UserAdminParts, audit: AuditTrail): Route {
  return route({
    method: "POST",
    path: "/api/v1/users/import",
    summary: "Bring accounts in with their ids and bcrypt hashes, all or none: JSON, an object a line, or CSV",
    tag: "Users",
    access: { permission: "users:manage" },
    query: Query,
    body: v.union([v.array(ImportedAccount), object({ users: v.array(ImportedAccount) })]),
    raw: { types: ["application/json", "application/x-ndjson", "text/csv"], gzip: false },
    response: Imported,
    errors: [
      ...(["EMAIL_TAKEN", "USERNAME_TAKEN", "PHONE_TAKEN", "ID_CONFLICT", "ROLE_NOT_FOUND"] as const),
      ...(["PRIVILEGE_ESCALATION", "INVALID_TIMEZONE", "INVALID_STATE", "LAST_ADMIN", "BATCH_TOO_LARGE"] as const),
    ],
    async handle(exchange, { query: { existing = "refuse", dryRun = false }, body }) {
      const [type = ""] = exchange.header("content-type").toLowerCase().split(";");
      // Read before anything is awaited: the bytes are not ours for longer.
      const text = textOf(body as unknown as Buffer);
      const filed = await readAccounts(text, FORMATS[type.trim()] ?? "json");
      return importAccounts(
        { userAdmin, userLifecycle, audit, clock },
        filed,
        { existing, dryRun },
        granterOf(userOf(exchange)),
      );
    },
  });
}

/** Spreadsheets begin their files with a byte order mark. @throws MALFORMED_JSON for what is not UTF-8 */
function textOf(body: Buffer): string {
  const hasMark = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  const text = decodeUtf8(hasMark ? body.subarray(BYTE_ORDER_MARK_BYTES) : body);
  if (text === undefined) throw new PrismError("MALFORMED_JSON", "The body is not UTF-8");
  return text;
}
