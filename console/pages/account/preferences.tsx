import type { ChangedPreferences, FullPreferences } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { controlsOf } from "../../app/controls.ts";
import { useEdits } from "../../app/edits.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { SubmitButton } from "../../app/submit-button.tsx";
import { Card, Checkbox, Field, Form, Input, Loaded, Select, Skeleton, Switch, toast } from "../../ui/index.ts";
import { AccountPage } from "./account-page.tsx";
import { CHANNELS, type Channel } from "./channels.ts";
import { ContactRules } from "./contact-rules.tsx";
import { Drills } from "./drills.tsx";

const ALL = CHANNELS.map(({ value }) => value);

const KINDS = [
  { value: "rule", label: "Rules" },
  { value: "direct", label: "From people" },
  { value: "timer", label: "Timers" },
  { value: "digest", label: "Digests" },
  { value: "alert", label: "Server alerts" },
  { value: "aggregate", label: "Summaries" },
  { value: "incident", label: "Incidents" },
  { value: "oncall", label: "On-call shifts" },
] as const;
type Kind = (typeof KINDS)[number]["value"];

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

function PreferencesForm({ stored }: { readonly stored: FullPreferences }) {
  const { values: preferences, edits, change, saved } = useEdits(stored);
  const { flag } = controlsOf(preferences, change);
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
              <Field label="From">
                <Input
                  value={quietHours.from}
                  onChange={(from) => change({ quietHours: { ...quietHours, from } })}
                  mono
                  placeholder="22:00"
                  maxLength={5}
                />
              </Field>
              <Field label="To">
                <Input
                  value={quietHours.to}
                  onChange={(to) => change({ quietHours: { ...quietHours, to } })}
                  mono
                  placeholder="07:00"
                  maxLength={5}
                />
              </Field>
            </div>
          )}
        </div>
      </Card>
      <Card title="By mail">
        <div class="stack">
          <Switch {...flag("digest")} label="Daily digest" hint="One mail a day with what you have not read." />
          <Switch {...flag("emailAlerts")} label="Server alerts" hint="Errors of the server itself, for operators." />
        </div>
      </Card>
      <SubmitButton disabled={Object.keys(edits).length === 0}>Save</SubmitButton>
    </Form>
  );
}

interface MatrixProps {
  readonly channels: FullPreferences["channels"];
  readonly onChange: (channels: FullPreferences["channels"]) => void;
}

function ChannelMatrix({ channels, onChange }: MatrixProps) {
  const toggle = (kind: Kind, channel: Channel, isOn: boolean) => {
    const current = channels[kind] ?? ALL;
    const next = ALL.filter((each) => (each === channel ? isOn : current.includes(each)));
    const { [kind]: _, ...others } = channels;
    // A kind with all channels is left out: it then has later channels, too.
    onChange(next.length === ALL.length ? others : { ...channels, [kind]: next });
  };
  return (
    <table class="account-matrix">
      <thead>
        <tr>
          <th scope="col">Kind</th>
          {CHANNELS.map(({ value, label }) => (
            <th key={value} scope="col">
              {label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {KINDS.map((kind) => (
          <tr key={kind.value}>
            <td>{kind.label}</td>
            {CHANNELS.map((channel) => (
              <td key={channel.value}>
                <Checkbox
                  checked={(channels[kind.value] ?? ALL).includes(channel.value)}
                  onChange={(isOn) => toggle(kind.value, channel.value, isOn)}
                  label={`${kind.label} by ${channel.label}`}
                  hideLabel
                />
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
