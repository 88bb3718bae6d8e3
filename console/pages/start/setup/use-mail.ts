import { useState } from "preact/hooks";
import type { Setting } from "../../../../src/client/api-types.gen.ts";
import { api } from "../../../app/api.ts";
import { useFieldErrors } from "../../../app/field-errors.ts";
import { invalidate } from "../../../app/query.ts";
import { me } from "../../../app/session.ts";
import { SETTING_ERRORS } from "../../settings/setting-words.ts";
import type { SettingValues } from "./settings.ts";
import { type MailNote, noteMail } from "./skip.ts";
import type { MailTest } from "./test-mail.tsx";

const TEXT_KEYS = ["smtp.host", "smtp.port", "smtp.user", "smtp.from"] as const;
const KEYS = [...TEXT_KEYS, "smtp.pass", "smtp.allowPlain"] as const;

export type MailKey = (typeof KEYS)[number];

/** What is typed of the mail server: tried, then stored. */
export function useMail(setting: (key: string) => Setting | undefined, onDone: () => void) {
  const textOf = (key: string) => String(setting(key)?.value ?? setting(key)?.fallback ?? "");
  const [texts, setTexts] = useState(() => new Map<string, string>(TEXT_KEYS.map((key) => [key, textOf(key)])));
  const [password, setPassword] = useState("");
  const [allowPlain, setAllowPlain] = useState(setting("smtp.allowPlain")?.value === true);
  const [to, setTo] = useState(me.value?.email ?? "");
  const [test, setTest] = useState<MailTest & { readonly of: string }>();
  const errors = useFieldErrors(KEYS, SETTING_ERRORS);
  const [isOffered, setOffered] = useState(false);
  const fixed = TEXT_KEYS.map((key) => setting(key)).find((each) => each !== undefined && !each.isFree);
  const hasPassword = setting("smtp.pass")?.value != null;
  const values: SettingValues = {
    "smtp.host": texts.get("smtp.host")?.trim() || null,
    "smtp.port": portOf(texts.get("smtp.port") ?? ""),
    "smtp.user": texts.get("smtp.user")?.trim() || null,
    "smtp.from": texts.get("smtp.from")?.trim() || null,
    "smtp.allowPlain": allowPlain,
    ...(password !== "" && { "smtp.pass": password }),
  };
  const tried = JSON.stringify(values);
  const tryMail = async () => {
    setTest(undefined);
    const body = fixed ? { to: to.trim() } : { to: to.trim(), values };
    const found = await errors.attempt(() => api.post<MailTest>("/settings/mail-test", body));
    if (found) setTest({ ...found, of: tried });
    return found?.ok === true;
  };
  const store = async (stored: SettingValues, note: MailNote) => {
    if (!fixed && !(await errors.attempt(() => api.put<object>("/settings", { values: stored })))) return;
    noteMail(note);
    invalidate("/settings");
    onDone();
  };
  const save = async () => {
    const isTested = test?.of === tried && test.ok;
    if (isTested || (to.trim() !== "" && (await tryMail()))) return store(values, null);
    setOffered(true);
  };
  const skip = () => {
    const hasAny = KEYS.some((key) => setting(key)?.origin === "console");
    if (hasAny) return store(Object.fromEntries(KEYS.map((key) => [key, null])), "skipped");
    noteMail("skipped");
    onDone();
  };
  const text = (key: (typeof TEXT_KEYS)[number]) => ({
    value: texts.get(key) ?? "",
    onChange: (value: string) => setTexts(new Map(texts).set(key, value)),
    readOnly: fixed !== undefined,
  });
  return {
    ...{ errors, fixed, hasPassword, values, text, test, tryMail, store, save, skip, isOffered },
    ...{ password, setPassword, allowPlain, setAllowPlain, to, setTo },
  };
}

function portOf(text: string): number | string | null {
  const port = text.trim();
  return port === "" ? null : /^\d+$/.test(port) ? Number(port) : port;
}
