import type { ChangedPreferences, FullPreferences, Preferences } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useEdits } from "../../app/edits.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { SubmitButton } from "../../app/submit-button.tsx";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { preferences as described } from "../../forms/preferences.gen.ts";
import { editedOf, partOf } from "../../forms/use-resource.ts";
import { Card, Field, Form, Loaded, Select, Skeleton, Switch, toast } from "../../ui/index.ts";
import { AccountPage } from "./account-page.tsx";
import { ChannelMatrix } from "./channel-matrix.tsx";
import { ContactRules } from "./contact-rules.tsx";
import { Drills } from "./drills.tsx";

export default function NotificationPreferences() {
  const query = useGet<FullPreferences>("/users/me/preferences");
  return (
    <AccountPage tab="notifications" subtitle={query.data && summary(query.data)}>
      <Loaded query={query} skeleton={<Skeleton kind="form" />}>
        {(preferences) => <PreferencesForm stored={preferences} />}
      </Loaded>
      <ContactRules />
      <Drills />
    </AccountPage>
  );
}

function summary({ quietHours, minPriority }: FullPreferences): string {
  const from = minPriority > 0 ? `Notifications from priority ${minPriority} are sent` : "All notifications are sent";
  return quietHours
    ? `${from}; push and mail wait from ${quietHours.from} to ${quietHours.to}.`
    : `${from}, at any time.`;
}

const PRIORITIES = [
  { value: "0", label: "All notifications" },
  { value: "100", label: "From priority 100" },
  { value: "300", label: "From priority 300" },
  { value: "500", label: "Only urgent ones (500 and above)" },
  { value: "1000", label: "Mute: only priority 1000" },
];

const TIMES: readonly FieldOf<NonNullable<Preferences["quietHours"]>>[] = [
  { name: "from", placeholder: "22:00", hint: "", mono: true },
  { name: "to", placeholder: "07:00", hint: "", mono: true },
];
const BY_MAIL: readonly FieldOf<Preferences>[] = [
  { name: "digest", label: "Daily digest", hint: "One mail a day with what you have not read." },
  { name: "emailAlerts", label: "Server alerts", hint: "Errors of the server itself, for operators." },
];

function PreferencesForm({ stored }: { readonly stored: FullPreferences }) {
  const { values: preferences, edits, change, saved } = useEdits(stored);
  const edited = editedOf<Preferences>(described, preferences, (changes) =>
    change(changes as Partial<FullPreferences>),
  );
  const { quietHours, minPriority } = preferences;
  const save = async () => {
    const { warnings, ...answer } = await api.put<ChangedPreferences>("/users/me/preferences", preferences);
    saved(answer);
    invalidate("/users/me/preferences");
    toast.ok("Your preferences are saved.");
    for (const { message } of warnings) toast.info(message);
  };
  const isKnown = PRIORITIES.some(({ value }) => value === String(minPriority));
  const priorities = isKnown
    ? PRIORITIES
    : [...PRIORITIES, { value: String(minPriority), label: `From priority ${minPriority}` }];
  return (
    <Form onSubmit={save} label="Notification preferences">
      <Card title="Channels" sub="The inbox itself has every notification. A rule can name fewer channels.">
        <ChannelMatrix channels={preferences.channels} onChange={(channels) => change({ channels })} />
      </Card>
      <Card title="When">
        <div class="stack">
          <Field label="Send" hint="Less important ones are in the inbox only.">
            <Select
              value={String(minPriority)}
              onChange={(value) => change({ minPriority: Number(value) })}
              options={priorities}
            />
          </Field>
          <Switch
            checked={quietHours !== null}
            onChange={(isOn) => change({ quietHours: isOn ? { from: "22:00", to: "07:00" } : null })}
            label="Quiet hours"
            hint={`Push and mail wait until they end, in your time zone (${me.value?.effectiveTimezone ?? "UTC"}). Urgent ones do not wait.`}
          />
          {quietHours && (
            <div class="account-times">
              <Fields of={partOf(edited, "quietHours")} show={TIMES} />
            </div>
          )}
        </div>
      </Card>
      <Card title="By mail">
        <div class="stack">
          <Fields of={edited} show={BY_MAIL} />
        </div>
      </Card>
      <SubmitButton disabled={Object.keys(edits).length === 0}>Save</SubmitButton>
    </Form>
  );
}
