import { Moon, Sun } from "lucide";
import { useState } from "preact/hooks";
import {
  Button,
  Card,
  Checkbox,
  Combobox,
  DateInput,
  DateTimeInput,
  Field,
  FileDrop,
  Form,
  Input,
  MultiCombobox,
  type Option,
  RadioGroup,
  SearchInput,
  Segmented,
  Select,
  Stepper,
  Switch,
  Textarea,
  Toolbar,
  toast,
} from "../ui/index.ts";
import { HOSTILE } from "./samples.ts";

const PEOPLE: readonly Option[] = [
  "Anna Koch",
  "Ben Osei",
  "Chiara Neri",
  "Dana Levi",
  HOSTILE.rightToLeft,
  HOSTILE.long,
].map((label, index) => ({
  value: `u${index}`,
  label,
  hint: index === 1 ? "on call until 18:00" : undefined,
  disabled: index === 3,
}));

async function search(query: string): Promise<readonly Option[]> {
  await new Promise((resolve) => setTimeout(resolve, 400));
  return PEOPLE.filter((option) => option.label.toLowerCase().includes(query.toLowerCase()));
}

/** Fields and controls. */
export function FormsSection() {
  return (
    <>
      <Filters />
      <div class="grid2">
        <TextFields />
        <Choices />
      </div>
      <Stepper
        current={1}
        onStep={() => undefined}
        steps={[
          { label: "Administrator", hint: "anna@example.org" },
          { label: "Address", hint: "How people reach Prism" },
          { label: "Mail" },
          { label: "First rule" },
        ]}
      />
      <FileDrop
        label="Upload a sound"
        hint="WAV, MP3 or OGG, at most 2 MB"
        accept="audio/*"
        maxBytes={2_000_000}
        onFiles={([file]) => toast.ok(`${file?.name} taken`)}
      />
    </>
  );
}

function Filters() {
  const [query, setQuery] = useState("");
  const [state, setState] = useState("all");
  const [level, setLevel] = useState("");
  return (
    <Toolbar end={<Button>Export</Button>}>
      <SearchInput value={query} onChange={setQuery} placeholder="Search payload and error" />
      <Segmented
        label="State"
        value={state}
        onChange={setState}
        options={["all", "waiting", "failed"].map((value) => ({ value, label: value }))}
      />
      <Select
        label="Level"
        value={level}
        onChange={setLevel}
        placeholder="Any level"
        options={[
          { value: "critical", label: "Critical", group: "Loud" },
          { value: "warning", label: "Warning", group: "Loud" },
          { value: "info", label: "Info", group: "Quiet" },
        ]}
      />
    </Toolbar>
  );
}

function TextFields() {
  const [text, setText] = useState("Host down");
  const [secret, setSecret] = useState("correct horse");
  const [area, setArea] = useState("event.type == 'host.down'\nand event.seconds > 20");
  const [at, setAt] = useState("2026-11-21T14:02:00.000Z");
  const [day, setDay] = useState("2026-11-21");
  return (
    <Card title="Text">
      <Form
        onSubmit={() =>
          Promise.reject(
            Object.assign(new Error("Two fields are not valid"), {
              code: "VALIDATION_FAILED",
              details: [{ path: "name", message: "is taken" }],
            }),
          )
        }
      >
        <Field label="Name" required hint="People read it in notifications.">
          <Input value={text} onChange={setText} />
        </Field>
        <Field label="Address" error="The name is taken by another rule" optional>
          <Input value={HOSTILE.long} onChange={() => undefined} />
        </Field>
        <Field
          label="Password"
          action={
            <a class="link" href="#forms">
              Forgot?
            </a>
          }
        >
          <Input type="password" value={secret} onChange={setSecret} autocomplete="current-password" />
        </Field>
        <Field label="Interval">
          <Input type="number" value="30" onChange={() => undefined} suffix="seconds" inputMode="numeric" />
        </Field>
        <Field label="Path" hint="Below the public address.">
          <Input value="hooks/deploy" onChange={() => undefined} prefix="https://" mono />
        </Field>
        <Field label="Condition">
          <Textarea value={area} onChange={setArea} mono autoGrow rows={3} />
        </Field>
        <Field label="Snooze until">
          <DateTimeInput value={at} onChange={setAt} zone="Europe/Berlin" />
        </Field>
        <Field label="Away from">
          <DateInput value={day} onChange={setDay} />
        </Field>
        <Field label="Disabled">
          <Input value="cannot be changed" onChange={() => undefined} disabled />
        </Field>
        <div class="inline">
          <Button type="submit" variant="primary">
            Save
          </Button>
          <Button>Cancel</Button>
        </div>
      </Form>
    </Card>
  );
}

function Choices() {
  const [person, setPerson] = useState("u0");
  const [path, setPath] = useState("event.seconds");
  const [people, setPeople] = useState<readonly string[]>(["u1", "u4", "u5"]);
  const [isOn, setOn] = useState(true);
  const [level, setLevel] = useState("warning");
  const [look, setLook] = useState("light");
  return (
    <Card title="Choices">
      <div class="stack">
        <Field label="Person">
          <Combobox value={person} onChange={setPerson} options={PEOPLE} clearable />
        </Field>
        <Field label="Path" hint="Paths of recent events, or any other.">
          <Combobox
            value={path}
            onChange={setPath}
            options={[
              { value: "event.type", label: "event.type", hint: "text" },
              { value: "event.seconds", label: "event.seconds", hint: "number" },
            ]}
            custom
            mono
          />
        </Field>
        <Field label="Recipients">
          <MultiCombobox values={people} onChange={setPeople} options={PEOPLE} placeholder="Add people" />
        </Field>
        <Field label="Search on the server">
          <Combobox value="" onChange={() => undefined} load={search} placeholder="Type a name" />
        </Field>
        <RadioGroup
          label="Level"
          value={level}
          onChange={setLevel}
          options={[
            { value: "critical", label: "Critical", hint: "Wakes people, ignores quiet hours" },
            { value: "warning", label: "Warning", hint: "Waits for the end of quiet hours" },
            { value: "info", label: "Info", disabled: true },
          ]}
        />
        <div class="stack s2">
          <Checkbox checked={isOn} onChange={setOn} label="Send a copy to the project" />
          <Checkbox checked={false} indeterminate onChange={() => undefined} label="Some are chosen" />
          <Checkbox
            checked={false}
            disabled
            onChange={() => undefined}
            label="Not allowed"
            hint="Needs the permission rules:write"
          />
          <Switch checked={isOn} onChange={setOn} label="Enabled" hint="A disabled rule keeps its versions." />
          <Switch
            checked={!isOn}
            onChange={() => new Promise((resolve) => setTimeout(resolve, 1500))}
            label="Saves slowly"
          />
        </div>
        <div>
          <Segmented
            label="Look"
            value={look}
            onChange={setLook}
            options={[
              { value: "light", label: "Light", icon: Sun },
              { value: "dark", label: "Dark", icon: Moon },
            ]}
          />
        </div>
      </div>
    </Card>
  );
}
