import { randomBytes } from "node:crypto";
import { type SealedBox, UnsealError } from "../../../core/crypto/sealed-box.ts";
import { hashToken } from "../../../core/crypto/tokens.ts";
import { cleanText } from "../../../core/text/clean-text.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import {
  type ApplicationRow,
  type ClientRow,
  createGotifyToken,
  expiryOf,
  hasExpired,
  type UserVisitor,
} from "./auth.ts";
import { badRequest, notFound } from "./errors.ts";
import { type Fields, type FormFile, integerField, requiredText, textField } from "./fields.ts";
import { INTERNAL_APPLICATION, INTERNAL_PRIORITY, type Messages } from "./messages.ts";

export interface ApplicationsParts extends Uses<"db" | "clock" | "box" | "audit"> {
  readonly messages: Messages;
}

/** Limit of a user's applications, and of a user's clients. */
const MAX_EACH = 250;
const MAX_NAME = 255;
const MAX_DESCRIPTION = 4000;
export const MAX_IMAGE_BYTES = 1_048_576;

/** Seal context of an application's token, by its hash. */
export function gotifySealContext(tokenHash: string): string {
  return `gotify_applications.sealedToken.${tokenHash}`;
}

/** A user's applications, with their tokens, and that of Prism's own notifications. */
export async function listApplications({ db, box }: ApplicationsParts, userId: string) {
  const rows = await db.read
    .selectFrom("gotify_applications")
    .selectAll()
    .where("userId", "=", userId)
    .orderBy("sortKey")
    .orderBy("id")
    .execute();
  return [INTERNAL, ...rows.map((row) => applicationView(row, tokenOf(box, row)))];
}

const DEFAULT_IMAGE = "static/defaultapp.png";

export const INTERNAL = {
  id: INTERNAL_APPLICATION,
  token: "",
  name: "Prism",
  description: "Notifications that no application sent",
  internal: true,
  image: DEFAULT_IMAGE,
  defaultPriority: INTERNAL_PRIORITY,
  sortKey: "a0",
  lastUsed: null,
};

function applicationView(row: ApplicationRow, token: string) {
  return {
    id: row.id,
    token,
    name: row.name,
    description: row.description,
    internal: false,
    image: row.image === null ? DEFAULT_IMAGE : `image/${row.image}`,
    defaultPriority: row.defaultPriority,
    sortKey: row.sortKey,
    createdAt: toRfc3339(row.createdAt),
    lastUsed: toRfc3339OrNull(row.lastUsedAt),
  };
}

/** Empty if no configured key opens it: messages are accepted all the same. */
function tokenOf(box: SealedBox, { sealedToken, tokenHash }: ApplicationRow): string {
  try {
    return box.open(gotifySealContext(tokenHash), sealedToken).toString();
  } catch (error) {
    if (error instanceof UnsealError) return "";
    throw error;
  }
}

function settingsOf(fields: Fields) {
  return {
    name: nameOf(fields),
    description: cleanText(textField(fields, "description") ?? "").slice(0, MAX_DESCRIPTION),
    defaultPriority: integerField(fields, "defaultPriority") ?? integerField(fields, "defaultpriority") ?? 0,
  };
}

/** Empty: as before, or after the last one. @throws GotifyError 400 */
function sortKeyOf(fields: Fields): string {
  const key = textField(fields, "sortKey") ?? "";
  if (!/^[0-9A-Za-z]{0,255}$/.test(key)) throw badRequest("sortKey must have letters and digits only");
  return key;
}

/** A key after all others: those that are made here are `c000`, `c001` … */
function keyAfter(last: string): string {
  const [, number] = /^c(\d{3})/.exec(last) ?? [];
  if (last < "c") return "c000";
  return number === undefined || number === "999" ? `${last}V` : `c${String(Number(number) + 1).padStart(3, "0")}`;
}

function nameOf(fields: Fields): string {
  const name = cleanText(requiredText(fields, "name")).slice(0, MAX_NAME);
  if (name.trim() === "") throw badRequest("Field 'name' is required");
  return name;
}

/** @throws GotifyError 400 */
export async function createApplication(parts: ApplicationsParts, userId: string, fields: Fields) {
  const settings = { ...settingsOf(fields), sortKey: sortKeyOf(fields) };
  const token = createGotifyToken("A");
  const row = await parts.db.write((trx) => storeApplication(parts, trx, userId, settings, token));
  return applicationView(row, token);
}

interface NewApplication {
  readonly name: string;
  readonly description?: string | undefined;
  readonly defaultPriority?: number | undefined;
  /** Empty: after the last one. */
  readonly sortKey: string;
}

/** @throws GotifyError 400 */
export async function storeApplication(
  parts: ApplicationsParts,
  trx: Trx,
  userId: string,
  { sortKey: given, ...settings }: NewApplication,
  token: string,
): Promise<ApplicationRow> {
  await requireRoom(trx, "gotify_applications", userId);
  const { last } = await trx
    .selectFrom("gotify_applications")
    .select((e) => e.fn.max("sortKey").as("last"))
    .where("userId", "=", userId)
    .executeTakeFirstOrThrow();
  const sortKey = given === "" ? keyAfter(last ?? "") : given;
  await requireUnique(trx, userId, sortKey, 0);
  const { token: _, ...secret } = newToken(parts.box, token);
  const values = {
    ...settings,
    userId,
    ...secret,
    image: null,
    createdAt: parts.clock.now(),
    lastUsedAt: null,
    sortKey,
  };
  const made = await trx.insertInto("gotify_applications").values(values).returningAll().executeTakeFirstOrThrow();
  await record(parts, trx, "gotify_application.create", made.id);
  return made;
}

/** Another application than `id` has another key. @throws GotifyError 400, as in Gotify */
async function requireUnique(trx: Trx, userId: string, sortKey: string, id: number): Promise<void> {
  const other = await trx
    .selectFrom("gotify_applications")
    .select("id")
    .where("userId", "=", userId)
    .where("sortKey", "=", sortKey)
    .where("id", "<>", id)
    .executeTakeFirst();
  if (other) throw badRequest("sort key is not unique");
}

function newToken(box: SealedBox, token = createGotifyToken("A")) {
  const tokenHash = hashToken(token);
  return { token, tokenHash, sealedToken: box.seal(gotifySealContext(tokenHash), Buffer.from(token)) };
}

/** A new token, if `regenerateToken` says so; the earlier one ends at once. @throws GotifyError 400, 404 */
export async function secureApplication(parts: ApplicationsParts, userId: string, id: number, fields: Fields) {
  refuseInternal(id, "change");
  const { db, box } = parts;
  const isWanted = String(fields.values.get("regenerateToken") ?? fields.values.get("regeneratetoken")) === "true";
  const { token, ...secret } = newToken(box);
  return db.write(async (trx) => {
    await findApplication(trx, userId, id);
    if (!isWanted) return {};
    await trx.updateTable("gotify_applications").set(secret).where("id", "=", id).execute();
    await record(parts, trx, "gotify_application.update", id);
    return { regenerateToken: { token } };
  });
}

async function requireRoom(trx: Trx, table: "gotify_applications" | "gotify_clients", userId: string): Promise<void> {
  const count = await countOf(trx.selectFrom(table).where("userId", "=", userId));
  if (count >= MAX_EACH) throw badRequest(`an account has at most ${MAX_EACH} of these; delete some`);
}

/** @throws GotifyError 404 for an unknown one and one of another user */
export async function findApplication(
  db: ReadDb | Trx,
  userId: string,
  id: number,
  missing = `app with id ${id} doesn't exists`,
): Promise<ApplicationRow> {
  const row = await db
    .selectFrom("gotify_applications")
    .selectAll()
    .where("id", "=", id)
    .where("userId", "=", userId)
    .executeTakeFirst();
  if (!row) throw notFound(missing);
  return row;
}

/** @throws GotifyError 400, 404 */
export async function updateApplication(parts: ApplicationsParts, userId: string, id: number, fields: Fields) {
  refuseInternal(id, "change");
  const { db, box } = parts;
  return db.write(async (trx) => {
    const old = await findApplication(trx, userId, id);
    const sortKey = sortKeyOf(fields);
    const settings = { ...settingsOf(fields), ...(sortKey === "" ? {} : { sortKey }) };
    await requireUnique(trx, userId, sortKey, id);
    await trx.updateTable("gotify_applications").set(settings).where("id", "=", id).execute();
    await record(parts, trx, "gotify_application.update", id);
    return applicationView({ ...old, ...settings }, tokenOf(box, old));
  });
}

/** Its token ends at once; then its messages are removed. @throws GotifyError 400, 404 */
export async function deleteApplication(parts: ApplicationsParts, userId: string, id: number): Promise<void> {
  refuseInternal(id, "delete");
  await parts.db.write(async (trx) => {
    await findApplication(trx, userId, id);
    await trx.deleteFrom("gotify_images").where("applicationId", "=", id).execute();
    await trx.deleteFrom("gotify_applications").where("id", "=", id).execute();
    await record(parts, trx, "gotify_application.delete", id);
  });
  await parts.messages.removeAll(userId, id);
}

function refuseInternal(id: number, verb: string): void {
  if (id === INTERNAL_APPLICATION) throw badRequest(`cannot ${verb} internal application`);
}

/** @param file null removes the image. @throws GotifyError 400, 404 */
export async function setImage(parts: ApplicationsParts, userId: string, id: number, file: FormFile | null) {
  refuseInternal(id, "change");
  const { db, box } = parts;
  return db.write(async (trx) => {
    const old = await findApplication(trx, userId, id);
    if (file === null && old.image === null) throw badRequest("app does not have a customized image");
    const image = file && storedImage(id, file);
    await trx.deleteFrom("gotify_images").where("applicationId", "=", id).execute();
    if (image) await trx.insertInto("gotify_images").values(image).execute();
    const name = image?.name ?? null;
    await trx.updateTable("gotify_applications").set({ image: name }).where("id", "=", id).execute();
    await record(parts, trx, "gotify_application.update", id);
    return applicationView({ ...old, image: name }, tokenOf(box, old));
  });
}

const EXTENSIONS = /\.(gif|png|jpg|jpeg)$/i;

/** The type comes from the content. @throws GotifyError 400 */
function storedImage(applicationId: number, { filename, bytes }: FormFile) {
  const type = imageTypeOf(bytes);
  if (type === null || bytes.length > MAX_IMAGE_BYTES) throw badRequest("file must be an image");
  if (!EXTENSIONS.test(filename)) throw badRequest("invalid file extension");
  const name = `${randomBytes(18).toString("base64url")}.${type === "jpeg" ? "jpg" : type}`;
  return { name, applicationId, type: `image/${type}`, bytes };
}

function imageTypeOf(bytes: Buffer): "png" | "jpeg" | "gif" | null {
  const head = bytes.toString("latin1", 0, 8);
  if (head === "\x89PNG\r\n\x1a\n") return "png";
  if (head.startsWith("\xff\xd8\xff")) return "jpeg";
  return /^GIF8[79]a/.test(head) ? "gif" : null;
}

/** A user's clients; only the caller's own token is shown, which the app looks for when it logs out. */
export async function listClients({ db, clock }: ApplicationsParts, { principal, client }: UserVisitor) {
  const now = clock.now();
  const rows = await db.read
    .selectFrom("gotify_clients")
    .selectAll()
    .where("userId", "=", principal.userId)
    .orderBy("id")
    .execute();
  const current = rows.filter((row) => !hasExpired(row, now));
  if (current.length < rows.length) await db.write((trx) => deleteExpired(trx, principal.userId, now));
  return current.map((row) => clientView(row, client?.row.id === row.id ? client.token : ""));
}

function clientView(row: ClientRow, token: string) {
  const { id, name, createdAt, lastUsedAt, expiresAfterS } = row;
  const end = expiresAfterS === 0 ? {} : { expiresAt: toRfc3339(expiryOf(row)) };
  const times = { createdAt: toRfc3339(createdAt), lastUsed: toRfc3339OrNull(lastUsedAt) };
  return { id, token, name, ...times, expiresAfterInactivitySeconds: expiresAfterS, ...end };
}

async function deleteExpired(trx: Trx, userId: string, now: number): Promise<void> {
  const rows = await trx.selectFrom("gotify_clients").selectAll().where("userId", "=", userId).execute();
  const ids = rows.filter((row) => hasExpired(row, now)).map(({ id }) => id);
  if (ids.length > 0) await trx.deleteFrom("gotify_clients").where("id", "in", ids).execute();
}

export const MAX_EXPIRY_S = 10 * 366 * 86_400;

/** @throws GotifyError 400 */
function expiryIn(fields: Fields): number | undefined {
  const name = "expiresAfterInactivitySeconds";
  const seconds = integerField(fields, name) ?? integerField(fields, name.toLowerCase());
  if (seconds !== undefined && (seconds < 0 || seconds > MAX_EXPIRY_S)) throw badRequest(`${name} is out of range`);
  return seconds;
}

/** @throws GotifyError 400 */
export async function createClient(parts: ApplicationsParts, userId: string, fields: Fields) {
  const token = createGotifyToken("C");
  const settings = { name: nameOf(fields), expiresAfterS: expiryIn(fields) ?? 0 };
  const row = await parts.db.write((trx) => storeClient(parts, trx, userId, settings, token));
  return clientView(row, token);
}

/** @throws GotifyError 400 */
export async function storeClient(
  parts: ApplicationsParts,
  trx: Trx,
  userId: string,
  settings: Pick<ClientRow, "name" | "expiresAfterS">,
  token: string,
): Promise<ClientRow> {
  const now = parts.clock.now();
  await deleteExpired(trx, userId, now);
  await requireRoom(trx, "gotify_clients", userId);
  const values = { ...settings, userId, tokenHash: hashToken(token), createdAt: now, lastUsedAt: null };
  const made = await trx.insertInto("gotify_clients").values(values).returningAll().executeTakeFirstOrThrow();
  await record(parts, trx, "gotify_client.create", made.id);
  return made;
}

/** @throws GotifyError 400, 404 */
export async function renameClient(parts: ApplicationsParts, userId: string, id: number, fields: Fields) {
  const name = nameOf(fields);
  const seconds = expiryIn(fields);
  const values = { name, ...(seconds === undefined ? {} : { expiresAfterS: seconds }) };
  return parts.db.write(async (trx) => {
    const row = await findClient(trx, userId, id);
    await trx.updateTable("gotify_clients").set(values).where("id", "=", id).execute();
    await record(parts, trx, "gotify_client.update", id);
    return clientView({ ...row, ...values }, "");
  });
}

/** @throws GotifyError 404 */
export async function deleteClient(parts: ApplicationsParts, userId: string, id: number): Promise<void> {
  await parts.db.write(async (trx) => {
    await findClient(trx, userId, id);
    await trx.deleteFrom("gotify_clients").where("id", "=", id).execute();
    await record(parts, trx, "gotify_client.delete", id);
  });
}

async function findClient(trx: Trx, userId: string, id: number): Promise<ClientRow> {
  const row = await trx
    .selectFrom("gotify_clients")
    .selectAll()
    .where("id", "=", id)
    .where("userId", "=", userId)
    .executeTakeFirst();
  if (!row) throw notFound(`client with id ${id} doesn't exists`);
  return row;
}

function record({ audit }: ApplicationsParts, trx: Trx, action: string, id: number): Promise<void> {
  const resourceType = action.split(".")[0] ?? "";
  return audit.record({ action, resourceType, resourceId: String(id) }, { trx });
}
