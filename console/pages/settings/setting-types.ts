/** A setting, as `GET /api/v1/settings` lists it. */
export interface Setting {
  readonly key: string;
  readonly value: unknown;
  readonly fallback: unknown;
  readonly origin: string;
  /** Where the value comes from, such as `--port` or `SMTP_HOST`. */
  readonly source: string | null;
  readonly variable: string;
  readonly input: "text" | "integer" | "boolean" | "duration" | "list" | "choice";
  readonly choices: readonly string[] | null;
  readonly secret: boolean;
  readonly editable: boolean;
  /** No source with precedence holds it, so it can be changed here. */
  readonly isFree: boolean;
  readonly restartRequired: boolean;
  readonly doc: string;
}

export interface Settings {
  readonly data: readonly Setting[];
  readonly restartRequired: readonly string[];
}

export interface MailTest {
  readonly ok: boolean;
  readonly message: string;
  readonly transcript: readonly string[];
}

const ORIGINS: Readonly<Record<string, string>> = {
  flag: "command line",
  environment: "environment",
  file: "configuration file",
  console: "set here",
  default: "default",
  generated: "generated",
};

/** In plain words where the value of a setting comes from. */
export function originText({ origin, source }: Setting): string {
  const text = ORIGINS[origin] ?? origin;
  return source === null ? text : `${text}, ${source}`;
}

/** A value as a text of a field. */
export function fieldText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return Array.isArray(value) ? value.join(", ") : String(value);
}

/** The value of a field's text. null: back to the default. */
export function fieldValue({ input }: Setting, text: string): unknown {
  if (text === "") return null;
  if (input === "integer") return Number(text);
  if (input === "boolean") return text === "true";
  return text;
}

const LABELS: Readonly<Record<string, string>> = {
  publicUrl: "Public URL",
  "smtp.host": "Mail server",
  "smtp.user": "User name",
  "smtp.pass": "Password",
  "smtp.from": "Sender address",
  "smtp.secure": "TLS from the first byte",
  "smtp.allowPlain": "Allow mail without TLS",
  "auth.requireEmailVerification": "Addresses must be verified",
  "retention.days": "Keep events for",
  "retention.notificationDays": "Keep notifications for",
  "log.level": "Log level",
  "digest.enabled": "Send digests",
};

/** The last part of a key as words: `smtp.allowPlain` is "Allow plain". */
export function labelOf(key: string): string {
  const known = LABELS[key];
  if (known !== undefined) return known;
  const name = key.split(".").at(-1) ?? key;
  const words = name.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  const text = words.replace(/\burl\b/, "URL").replace(/ ms$/, "");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
