import type { Config } from "../../../config/load.ts";
import { unknownPreset } from "../../../config/nearest.ts";
import type { SealedBox } from "../../../core/crypto/sealed-box.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import type { LiveSettings } from "../../../http/server/live-settings.ts";
import type { Uses } from "../../../module/feature.ts";
import { checkLabels } from "../../alerts/index.ts";
import { sealedForward } from "../forward/index.ts";
import { compileGiven, compileMapping } from "./mapping.ts";
import type { VerifyRow } from "./preset.ts";
import type { Presets } from "./presets.ts";
import { Receiver, type ReceiverRow, type ReceiverSettings } from "./receiver.ts";
import { mergedMapping, receiverSealContext } from "./receivers.ts";
import type { UpdateReceiver } from "./schema.ts";
import { isUsableSecret } from "./verify.ts";

/* The settings of a receiver: their checks and columns. */

export interface ReceiverParts
  extends Uses<"db" | "clock" | "box" | "projects" | "principals" | "audit" | "idempotency" | "forwarding"> {
  readonly presets: Presets;
  readonly settings: Pick<LiveSettings, "receivers">;
  /** The URL of this server for clients. */
  publicUrl(): string;
  /** The domain of mail addresses; null if no mail is received. */
  mailDomain(): string | null;
}

export type Settings = Omit<UpdateReceiver, "name" | "preset">;

/** Columns of the given settings. */
export function settingsOf(
  { box }: ReceiverParts,
  id: string,
  { secret, forwardUrl, ...input }: Settings,
): ReceiverSettings & Secrets {
  const columns = { ...Receiver.columns(input), ...sealedForward(box, "receivers", id, forwardUrl) };
  if (secret === undefined) return columns;
  const sealedSecret = { secret: sealed(box, "secret", id, secret), previousSecret: null, previousSecretUntil: null };
  return { ...columns, ...sealedSecret };
}

type Secrets = Partial<Pick<ReceiverRow, "secret" | "previousSecret" | "previousSecretUntil" | "forwardUrl">>;

function sealed(box: SealedBox, column: "secret" | "previousSecret", id: string, text: string | null): Buffer | null {
  return text === null ? null : box.seal(receiverSealContext(column, id), Buffer.from(text));
}

export function replacedSecret(
  { box }: ReceiverParts,
  old: ReceiverRow,
  secret: string,
  graceMs: number,
  until: number,
) {
  const { id } = old;
  const current = old.secret && box.open(receiverSealContext("secret", id), old.secret).toString("utf8");
  const isKept = graceMs > 0 && current !== null;
  return {
    secret: sealed(box, "secret", id, secret),
    previousSecret: isKept ? sealed(box, "previousSecret", id, current) : null,
    previousSecretUntil: isKept ? until : null,
  };
}

type State = Pick<ReceiverRow, "mapping" | "verify"> & { readonly hasSecret: boolean };

/** What stays as it is unless a change names it. */
export function storedSettings({ mapping, verify, secret }: ReceiverRow): State {
  return { mapping, verify, hasSecret: secret !== null };
}

/** @throws VALIDATION_FAILED, INVALID_CONDITION, INVALID_TEMPLATE */
export async function checkSettings(
  { presets, settings, forwarding }: ReceiverParts,
  name: string,
  { mapping, labels, secret, verify, forwardUrl, ...limits }: Settings,
  old: State,
): Promise<void> {
  requireWithin(settings.receivers, limits);
  const all = await presets.all();
  const preset = all.get(name);
  if (!preset) {
    const message = `there is no preset ${name}; GET /api/v1/receivers/presets lists them`;
    const details = [unknownPreset(name, all.keys(), message)];
    throw new PrismError("VALIDATION_FAILED", "The body is not valid", { details });
  }
  const hasSecret = secret === undefined ? old.hasSecret : secret !== null;
  if (preset.secret === "required" && !hasSecret)
    throw invalidField(
      "body",
      "secret",
      `${preset.title} needs one: ${preset.secretTitle ?? "the secret of its signatures"}`,
    );
  const ownRows = verify === undefined ? old.verify && (JSON.parse(old.verify) as VerifyRow[]) : verify;
  if (secret) requireUsableSecret(ownRows || preset.verify, secret);
  if (labels) checkLabels(labels);
  if (forwardUrl) {
    if (name === "mail") throw invalidField("body", "forwardUrl", "mails are not passed on");
    await forwarding.check(forwardUrl);
  }
  const own = mapping === undefined ? old.mapping && (JSON.parse(old.mapping) as typeof mapping) : mapping;
  // One that is stored stays, whatever its size.
  const compile = mapping === undefined ? compileMapping : compileGiven;
  compile(mergedMapping(preset, own || null));
}

/** @throws VALIDATION_FAILED for a limit above the operator's */
function requireWithin(bounds: Config["receivers"], { perSecond, burst, maxBodyBytes }: Settings): void {
  const refuse = (name: string, given: number | undefined, limit: number): void => {
    if (given !== undefined && given > limit)
      throw invalidField("body", name, `must be at most ${limit}, which the operator has set`);
  };
  refuse("perSecond", perSecond, bounds.maxPerSecond);
  refuse("burst", burst, bounds.maxBurst);
  refuse("maxBodyBytes", maxBodyBytes, bounds.maxBodyBytes);
}

/** @throws VALIDATION_FAILED */
function requireUsableSecret(rows: readonly VerifyRow[], secret: string): void {
  if (!isUsableSecret(rows, secret))
    throw invalidField("body", "secret", "a signing secret is whsec_ and at least 16 bytes in base64");
}
