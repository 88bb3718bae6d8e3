import { Archive, Bell, Copy, Download, Pause, Pencil, Play, RefreshCw, Trash2 } from "lucide";
import { useState } from "preact/hooks";
import {
  ask,
  Button,
  Card,
  CopyButton,
  confirm,
  DescriptionList,
  Dialog,
  Drawer,
  Field,
  IconButton,
  Input,
  KeyHint,
  Link,
  Menu,
  openDialog,
  Tabs,
  Tooltip,
  toast,
  useClose,
} from "../ui/index.ts";
import { HOSTILE } from "./samples.ts";
import { WhyNotified } from "./story-section.tsx";

const later = () => new Promise((resolve) => setTimeout(resolve, 1500));
const failing = () =>
  Promise.reject(Object.assign(new Error("The rule was changed meanwhile"), { code: "CONFLICT", requestId: "01HZX4" }));

/** Buttons, menus, dialogs and toasts. */
export function ActionsSection() {
  return (
    <>
      <Card title="Buttons">
        <div class="stack">
          <div class="inline">
            <Button variant="primary">Save rule</Button>
            <Button>Explain</Button>
            <Button variant="danger" icon={Trash2}>
              Delete
            </Button>
            <Button variant="danger-solid">Delete 3 jobs</Button>
            <Button variant="quiet">Cancel</Button>
            <Button icon={RefreshCw}>Retry</Button>
            <Button keys="a">Acknowledge</Button>
            <Button href="#actions" iconEnd={Download} download>
              Download CSV
            </Button>
          </div>
          <div class="inline">
            <Button variant="primary" disabled>
              Disabled
            </Button>
            <Button disabled>Disabled</Button>
            <Button pressed>Pressed</Button>
            <Button small>Small</Button>
            <Button small variant="primary">
              Small primary
            </Button>
            <Button onClick={later}>Works 1.5 s</Button>
            <Button onClick={failing}>Fails</Button>
          </div>
          <div class="inline">
            <IconButton icon={Play} label="Run now" />
            <IconButton icon={Pause} label="Pause" variant="default" />
            <IconButton icon={Trash2} label="Delete" variant="danger" />
            <IconButton icon={Bell} label="Notify me" pressed />
            <IconButton icon={Archive} label="Archive" small />
            <CopyButton text="copied" />
            <CopyButton text="copied" quiet />
            <Link href="#actions">A link</Link>
            <Link href="#actions" quiet>
              A quiet link
            </Link>
            <Tooltip text="Explains the word beside it">
              <span>Hover me</span>
            </Tooltip>
            <span>
              <KeyHint keys="Ctrl K" /> <KeyHint keys="g" /> <KeyHint keys="i" />
            </span>
          </div>
        </div>
      </Card>
      <Overlays />
      <TabsCard />
    </>
  );
}

function Overlays() {
  return (
    <Card title="Menus, dialogs, toasts">
      <div class="inline">
        <Menu
          label="More actions"
          items={[
            { label: "Edit", icon: Pencil, keys: "e", onSelect: () => toast.info("Edit") },
            { label: "Duplicate", icon: Copy, hint: "with its versions" },
            { label: "Archived", disabled: true, icon: Archive },
            "separator",
            { label: "Delete", icon: Trash2, danger: true },
          ]}
        />
        <Menu
          label="Range"
          text="Last hour"
          variant="default"
          align="start"
          items={[
            { heading: "Range" },
            { label: "Last hour", checked: true },
            { label: "Last day", checked: false },
            { label: HOSTILE.long, checked: false },
          ]}
        />
        <Button onClick={() => openDialog(<NewProject />)}>Dialog</Button>
        <Button onClick={() => openDialog(<Why />)}>Drawer</Button>
        <Button
          onClick={() =>
            confirm({
              title: "Retry 12 jobs?",
              text: "They run again now, oldest first.",
              action: "Retry 12 jobs",
            }).then((yes) => toast.info(yes ? "Yes" : "No"))
          }
        >
          Confirm
        </Button>
        <Button
          variant="danger"
          onClick={() =>
            confirm({
              title: `Delete the rule ${HOSTILE.emoji}?`,
              text: "Its 14 versions are deleted too. Events that it matched stay.",
              action: "Delete rule",
              danger: true,
              typed: "smoke",
            }).then(() => undefined)
          }
        >
          Dangerous confirm
        </Button>
        <Button
          onClick={() =>
            ask({
              title: "Acknowledge db-2 is down",
              label: "Note",
              action: "Acknowledge",
              multiline: true,
              hint: "Everyone who was notified sees it.",
            }).then((note) => toast.info(note ?? "cancelled"))
          }
        >
          Ask
        </Button>
        <Button onClick={() => toast.ok("Acknowledged", { undo: later })}>Toast with undo</Button>
        <Button
          onClick={() =>
            toast.error(Object.assign(new Error(HOSTILE.markup), { code: "RULE_INVALID", requestId: "01HZX4QY" }))
          }
        >
          Toast of an error
        </Button>
      </div>
    </Card>
  );
}

function NewProject() {
  const [name, setName] = useState("");
  const footer = (
    <>
      <Button onClick={useClose()}>Cancel</Button>
      <Button variant="primary" type="submit">
        Create
      </Button>
    </>
  );
  return (
    <Dialog title="New project" subtitle="Rules and members belong to a project." footer={footer} onSubmit={failing}>
      <Field label="Name" required hint="Lower-case letters, digits and dashes.">
        <Input value={name} onChange={setName} placeholder="ops" />
      </Field>
    </Dialog>
  );
}

function Why() {
  return (
    <Drawer title="Why was Anna notified?" subtitle="Notification 01HZX4QY">
      <WhyNotified />
      <DescriptionList
        items={[
          { label: "Rule", value: "Host down" },
          { label: "Long", value: HOSTILE.long },
        ]}
      />
    </Drawer>
  );
}

function TabsCard() {
  const [tab, setTab] = useState("attempts");
  return (
    <Card title="Tabs">
      <Tabs
        label="Job"
        value={tab}
        onChange={setTab}
        tabs={[
          { value: "payload", label: "Payload" },
          { value: "attempts", label: "Attempts", count: 3 },
          { value: "log", label: "Log" },
        ]}
      >
        <p class="small muted">The panel of {tab}. Arrow keys move between tabs.</p>
      </Tabs>
    </Card>
  );
}
