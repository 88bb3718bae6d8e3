import { useState } from "preact/hooks";
import type { DrillPreferences, WayProof } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { invalidate, useGet } from "../../app/query.ts";
import {
  Badge,
  Button,
  Card,
  Field,
  Loaded,
  Select,
  Skeleton,
  Switch,
  Time,
  type Tone,
  toast,
} from "../../ui/index.ts";

const WAYS = "/drills/ways";
const PREFERENCES = "/drills/preferences";
const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const HOURS = Array.from({ length: 24 }, (_, hour) => ({ value: String(hour), label: `${hour}:00` }));
const TONES: Readonly<Record<WayProof["state"], Tone>> = {
  proven: "ok",
  failed: "bad",
  waiting: "info",
  accepted: "warn",
  outdated: "warn",
  unproven: "plain",
};

/** Test pages to oneself: each way with its proof, and when the weekly drill is. */
export function Drills() {
  const ways = useGet<{ data: readonly WayProof[] }>(WAYS);
  const preferences = useGet<DrillPreferences>(PREFERENCES);
  const [isStarting, setStarting] = useState(false);
  const start = async () => {
    setStarting(true);
    try {
      await api.post("/drills", {});
      toast.ok("A test page goes out by each way. Confirm it there.");
    } finally {
      setStarting(false);
      invalidate(WAYS);
    }
  };
  return (
    <Card
      title="Drills"
      sub="A test page by each way that incidents of high urgency use. One tap in the message proves the way."
      actions={
        <Button small disabled={isStarting} onClick={start}>
          Drill now
        </Button>
      }
    >
      <div class="stack">
        <Loaded query={ways} skeleton={<Skeleton kind="form" />}>
          {({ data }) => <WayList ways={data} />}
        </Loaded>
        <Loaded query={preferences} skeleton={<Skeleton kind="form" />}>
          {(stored) => (stored.isEnabled ? <Weekly stored={stored} /> : null)}
        </Loaded>
      </div>
    </Card>
  );
}

function WayList({ ways }: { readonly ways: readonly WayProof[] }) {
  if (ways.length === 0) return <p class="text-bad">No way outside of the app: pages do not reach you.</p>;
  return (
    <ul class="stack s2" aria-label="Your ways">
      {ways.map(({ name, state, text }) => (
        <li class="inline" key={name}>
          <span class="strong">{name}</span>
          <Badge tone={TONES[state]}>{text}</Badge>
        </li>
      ))}
    </ul>
  );
}

function Weekly({ stored }: { readonly stored: DrillPreferences }) {
  const { takesPart, day, hour, timezone, nextAt } = stored;
  const change = async (part: Partial<DrillPreferences>) => {
    await api.put(PREFERENCES, part);
    invalidate(PREFERENCES);
    toast.ok("Your drills are saved.");
  };
  return (
    <>
      <Switch
        checked={takesPart}
        label="A drill each week while I am on call"
        onChange={(isOn) => change({ takesPart: isOn })}
      />
      {takesPart ? (
        <>
          <div class="inline">
            <Field label="Day">
              <Select
                value={day}
                options={DAYS.map((label) => ({ value: label.toLowerCase(), label }))}
                onChange={(value) => void change({ day: value as DrillPreferences["day"] })}
              />
            </Field>
            <Field label="Hour" hint={timezone}>
              <Select value={String(hour)} options={HOURS} onChange={(value) => void change({ hour: Number(value) })} />
            </Field>
          </div>
          <p class="muted small">
            {nextAt === null ? (
              "None is planned: you are not on call within 7 days."
            ) : (
              <>
                The next one: <Time at={nextAt} mode="full" />
              </>
            )}
          </p>
        </>
      ) : (
        <p class="text-bad small">The page of on-call shows others that you take no part.</p>
      )}
    </>
  );
}
