interface Words {
  readonly label: string;
  readonly hint?: string;
  /** Words for the values of a choice, or of a switch that has an automatic state. */
  readonly values?: Readonly<Record<string, string>>;
}

/** The words of forms; `prism config` and the tab "All settings" show the keys. */
const WORDS: Readonly<Record<string, Words>> = {
  publicUrl: { label: "Public URL", hint: "As browsers reach this server. Links in mails and notifications use it." },
  "smtp.host": { label: "Mail server", hint: "Such as smtp.example.org. Empty: no mail is sent." },
  "smtp.port": { label: "Port", hint: "Usually 587, or 465 with TLS from the first byte." },
  "smtp.user": { label: "Username", hint: "Empty if the mail server needs no login." },
  "smtp.pass": { label: "Password", hint: "Enter it again when you change the mail server or the port." },
  "smtp.from": { label: "Sender", hint: "Such as Prism <prism@example.org>. The mail server must accept it." },
  "smtp.returnPath": { label: "Address for bounces" },
  "smtp.secure": {
    label: "TLS from the first byte",
    hint: "Automatic: yes on port 465; on other ports the connection changes to TLS after its first lines.",
    values: { "": "Automatic", true: "Yes", false: "No" },
  },
  "smtp.allowPlain": {
    label: "Allow a connection without TLS",
    hint: "Only for a mail server in your own network: others could read mails and the password.",
  },
  "auth.registration": {
    label: "Registration",
    hint: "Whether people may make an account themselves.",
    values: { approval: "With approval by an administrator", open: "Open to all", closed: "Closed" },
  },
  "auth.requireEmailVerification": {
    label: "Verify mail addresses",
    hint: "With open registration, an account becomes active when its address is confirmed. Needs a mail server.",
  },
  "alert.errorThreshold": {
    label: "Errors that cause an alert",
    hint: "This many error events of a project within the window. A project can have its own number.",
  },
  "alert.windowMs": { label: "Window", hint: "Errors of this time are counted. Such as 30 s, 5 min or 1 h." },
  "alert.cooldownMs": { label: "Cooldown", hint: "No other alert of the project for this time after one." },
  "digest.enabled": {
    label: "Send digests",
    hint: "For projects without a setting of their own, on days with events. Automatic: when a mail server is set.",
    values: { "": "Automatic", true: "Yes", false: "No" },
  },
  "retention.days": { label: "Keep events for (days)", hint: "0 keeps all. A project can have its own number." },
  "retention.notificationDays": { label: "Keep notifications for (days)", hint: "0 keeps all." },
  "retention.silenceDays": { label: "Keep silences for (days)", hint: "After their end. 0 keeps all." },
  "retention.alertDays": { label: "Keep resolved alerts and incidents for (days)", hint: "0 keeps all." },
  "retention.reportDays": { label: "Keep what reports are made of for (days)", hint: "0 keeps all." },
  "retention.auditDays": {
    label: "Keep the audit trail for (days)",
    hint: "A checkpoint replaces removed entries. 0 keeps all.",
  },
  "log.level": {
    label: "Log level",
    hint: "The least severe level that is logged.",
    values: { error: "Error", warn: "Warning", info: "Info", debug: "Debug" },
  },
  timezone: { label: "Time zone", hint: "Of the server's own schedules and of new users, such as Europe/Berlin." },
};

/** The label of a setting; its key, if forms do not know it. */
export function labelOf(key: string): string {
  return WORDS[key]?.label ?? key;
}

export function hintOf({ key, doc }: { readonly key: string; readonly doc: string }): string {
  return WORDS[key]?.hint ?? `${doc.charAt(0).toUpperCase()}${doc.slice(1)}.`;
}

export function valueWords(key: string): Readonly<Record<string, string>> | undefined {
  return WORDS[key]?.values;
}

/** A text of the server with the labels of fields in place of keys. */
export function inLabels(text: string): string {
  return text.replace(/\b[a-z]+(\.[a-zA-Z]+)?\b/g, (word) =>
    WORDS[word] && (word.includes(".") || word === "publicUrl") ? `“${labelOf(word)}”` : word,
  );
}

/** For useFieldErrors of `PUT /settings`. */
export const SETTING_ERRORS = { prefix: "values.", textOf: inLabels } as const;
