import { Plus, X } from "lucide";
import type { Answers } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { DurationInput } from "../../app/duration-input.tsx";
import { useEdits } from "../../app/edits.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { Button, Card, Checkbox, Form, IconButton, Loaded, Skeleton, toast } from "../../ui/index.ts";
import { CHANNELS } from "./channels.ts";

type Rule = Rules["high"][number];

type Rules = Answers["getContactRules"];

const PATH = "/users/me/contact-rules";
const MAX_RULES = 10;

/** How the user is notified of incidents, by urgency. */
export function ContactRules() {
  const query = useGet<Rules>(PATH);
  return (
    <Loaded query={query} skeleton={<Skeleton kind="form" />}>
      {(rules) => <RulesForm stored={rules} />}
    </Loaded>
  );
}

function RulesForm({ stored }: { readonly stored: Rules }) {
  const { values: rules, edits, change, saved } = useEdits(stored);
  const isComplete = [...rules.high, ...rules.low].every(({ channels }) => channels.length > 0);
  const save = async () => {
    const { high, low } = rules;
    type Saved = Rules & { readonly warnings: readonly { readonly message: string }[] };
    const { warnings, ...answer } = await api.put<Saved>(PATH, { high, low });
    saved(answer);
    invalidate(PATH);
    toast.ok("Your contact rules are saved.");
    for (const { message } of warnings) toast.info(message);
  };
  return (
    <Form onSubmit={save} label="Contact rules">
      <Card
        title="Incidents"
        sub="Which channels are used after which time. The later ones are not used once the incident is acknowledged."
      >
        <div class="stack">
          <Urgency title="High urgency" rules={rules.high} onChange={(high) => change({ high })} />
          <Urgency title="Low urgency" rules={rules.low} onChange={(low) => change({ low })} />
          <div class="inline">
            <Button type="submit" disabled={Object.keys(edits).length === 0 || !isComplete}>
              Save contact rules
            </Button>
            <span class="muted small" role="status">
              {isComplete ? "" : "Each rule needs a channel."}
            </span>
          </div>
        </div>
      </Card>
    </Form>
  );
}

interface UrgencyProps {
  readonly title: string;
  readonly rules: readonly Rule[];
  readonly onChange: (rules: readonly Rule[]) => void;
}

function Urgency({ title, rules, onChange }: UrgencyProps) {
  const set = (at: number, part: Partial<Rule>) =>
    onChange(rules.map((rule, index) => (index === at ? { ...rule, ...part } : rule)));
  const last = rules.at(-1)?.afterMs ?? -300_000;
  return (
    <section class="section">
      <h3>{title}</h3>
      {rules.length === 0 && <p class="muted small">The channels above, at once.</p>}
      {rules.map((rule, at) => (
        <div class="contact-rule" key={`${at}`}>
          <DurationInput
            label={`After, ${title.toLowerCase()}, rule ${at + 1}`}
            value={rule.afterMs}
            onChange={(ms) => set(at, { afterMs: ms ?? 0 })}
          />
          <span class="inline">
            {CHANNELS.map(({ value, label }) => (
              <Checkbox
                key={value}
                checked={rule.channels.includes(value)}
                onChange={(isOn) =>
                  set(at, {
                    channels: CHANNELS.map((each) => each.value).filter((each) =>
                      each === value ? isOn : rule.channels.includes(each),
                    ),
                  })
                }
                label={label}
              />
            ))}
          </span>
          <IconButton
            small
            icon={X}
            label={`Remove rule ${at + 1} of ${title.toLowerCase()}`}
            onClick={() => onChange(rules.filter((_, index) => index !== at))}
          />
        </div>
      ))}
      {rules.length < MAX_RULES && (
        <div>
          <Button
            small
            icon={Plus}
            onClick={() => onChange([...rules, { afterMs: last + 300_000, channels: ["push"] }])}
          >
            Add a rule for {title.toLowerCase()}
          </Button>
        </div>
      )}
    </section>
  );
}
