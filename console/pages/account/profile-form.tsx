import type { UpdateMe, User } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useEdits } from "../../app/edits.ts";
import { invalidate } from "../../app/query.ts";
import { reloadMe } from "../../app/session.ts";
import { SubmitButton } from "../../app/submit-button.tsx";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { me } from "../../forms/me.gen.ts";
import { editedOf } from "../../forms/use-resource.ts";
import { Card, Combobox, Field, Form, Input, Select, toast } from "../../ui/index.ts";

type Draft = Pick<UpdateMe, "name" | "email" | "phone" | "timezone" | "locale" | "currentPassword">;

function profileOf({ name, email, phone, timezone, locale }: User): Draft {
  return { name: name ?? "", email: email ?? "", phone, timezone, locale, currentPassword: "" };
}

/** The zone of the browser in use, stored as null. */
const AUTOMATIC = "automatic";
const ZONES = [
  { value: AUTOMATIC, label: `That of the browser (${Intl.DateTimeFormat().resolvedOptions().timeZone})` },
  ...[...new Set(["UTC", ...Intl.supportedValuesOf("timeZone")])].map((zone) => ({ value: zone, label: zone })),
];

const LOCALES = ["en", "en-GB", "de", "de-AT", "de-CH", "fr", "es", "it", "nl", "pl", "pt", "pt-BR", "sv", "ja", "zh"];

/** Names of languages in the browser's language, with the one in use. */
function localesWith(current: string) {
  const names = new Intl.DisplayNames(undefined, { type: "language" });
  return [...new Set([current, ...LOCALES])].map((value) => ({ value, label: names.of(value) ?? value }));
}

const NAME: FieldOf<Draft> = { name: "name", label: "Name", hint: "", required: false, autocomplete: "name" };
const EMAIL: FieldOf<Draft> = { name: "email", hint: "", required: false, autocomplete: "email" };
const PASSWORD: FieldOf<Draft> = {
  name: "currentPassword",
  hint: "Needed to change the mail address.",
  required: false,
  type: "password",
  autocomplete: "current-password",
};
const PHONE: FieldOf<Draft> = {
  name: "phone",
  hint: "With the country code, such as +49 30 1234567.",
  autocomplete: "tel",
};
const ZONE: FieldOf<Draft> = {
  name: "timezone",
  hint: "For times on all pages, quiet hours and schedules.",
  required: false,
  as: (zone, change) => (
    <Combobox value={zone ?? AUTOMATIC} onChange={(next) => change(next === AUTOMATIC ? null : next)} options={ZONES} />
  ),
};

export function ProfileForm({ account }: { readonly account: User }) {
  const { values, change, saved } = useEdits(profileOf(account));
  const { name = "", email = "", phone, timezone = null, locale, currentPassword = "" } = values;
  const isOtherEmail = email.trim() !== (account.email ?? "");
  const save = async () => {
    const answer = await api.put<User>("/users/me", {
      ...(name.trim() !== "" && { name: name.trim() }),
      phone: phone?.trim() || null,
      timezone,
      locale,
      ...(isOtherEmail && { email: email.trim(), currentPassword }),
    });
    saved(profileOf(answer));
    await reloadMe();
    invalidate("/users/me");
    toast.ok("Your profile is saved.");
  };
  const language: FieldOf<Draft> = {
    name: "locale",
    label: "Language",
    hint: "For dates and numbers in mails.",
    required: false,
    as: (value = "", set) => <Select value={value} onChange={set} options={localesWith(account.locale)} />,
  };
  const edited = editedOf<Draft>(me, values, (changes) => change(changes as Partial<Draft>));
  return (
    <Card title="Profile">
      <Form onSubmit={save} label="Profile">
        <div class="grid2">
          <Fields of={edited} show={[NAME]} />
          <Field label="Username" hint="An administrator can change it.">
            <Input value={account.username ?? ""} onChange={() => undefined} readOnly />
          </Field>
          <Fields of={edited} show={[EMAIL, PHONE, ...(isOtherEmail ? [PASSWORD] : []), ZONE, language]} />
        </div>
        <SubmitButton disabled={isOtherEmail && currentPassword === ""}>Save</SubmitButton>
      </Form>
    </Card>
  );
}
