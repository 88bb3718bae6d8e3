import type { Setting } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useQueryState } from "../../app/navigate.ts";
import { useGet } from "../../app/query.ts";
import {
  Banner,
  Card,
  type Column,
  DataTable,
  EmptyState,
  Loaded,
  Page,
  SearchInput,
  Tabs,
  Toolbar,
  UserText,
} from "../../ui/index.ts";
import { fieldText, originText, type Settings } from "./setting-types.ts";
import { labelOf } from "./setting-words.ts";
import { SettingsForm } from "./settings-form.tsx";

const GROUPS = [
  { title: "Address", keys: ["publicUrl"], text: "The URL under which people and programs reach this server." },
  { title: "Mail", keys: ["smtp."], text: "The mail server for notifications, invitations and new passwords." },
  { title: "Accounts", keys: ["auth."], text: "Who may create an account." },
  { title: "Error alerts", keys: ["alert."], text: "Members of a project are alerted about many errors." },
  { title: "Digests", keys: ["digest."], text: "A daily summary by mail." },
  { title: "Retention", keys: ["retention."], text: "How long data is kept." },
  { title: "Time zone and log", keys: ["timezone", "log."], text: "Defaults of this server." },
] as const;

/** Settings of the server, and which can be changed here. */
export default function SettingsPage() {
  const [tab] = useQueryState("tab", "change");
  const query = useGet<Settings>("/settings");
  const pending = query.data?.restartRequired ?? [];
  const tabs = [
    { value: "change", label: "Change", href: href("/settings") },
    { value: "all", label: "All settings", href: href("/settings?tab=all") },
  ];
  return (
    <Page
      title="Settings"
      subtitle={pending.length > 0 ? "Some changes take effect after a restart." : "Settings of this server."}
      tabs={<Tabs label="Settings" value={tab} tabs={tabs} />}
    >
      {pending.length > 0 && (
        <Banner tone="warn" title="Restart the server">
          {`Changed but not in effect yet: ${pending.map(labelOf).join(", ")}.`}
        </Banner>
      )}
      <Loaded query={query}>
        {({ data }) =>
          tab === "all" ? <AllSettings settings={data} /> : <Groups settings={data} onSaved={query.reload} />
        }
      </Loaded>
    </Page>
  );
}

function Groups({ settings, onSaved }: { readonly settings: readonly Setting[]; readonly onSaved: () => void }) {
  const editable = settings.filter((setting) => setting.editable);
  return (
    <div class="stack">
      {GROUPS.map(({ title, keys, text }) => {
        const own = editable.filter(({ key }) =>
          keys.some((start) => key === start || (start.endsWith(".") && key.startsWith(start))),
        );
        if (own.length === 0) return null;
        return (
          <Card key={title} title={title} sub={text}>
            <SettingsForm settings={own} hasMailTest={title === "Mail"} onSaved={onSaved} />
          </Card>
        );
      })}
    </div>
  );
}

const COLUMNS: readonly Column<Setting>[] = [
  { label: "Setting", cell: ({ key }) => <span class="mono nowrap">{key}</span>, card: "title" },
  {
    label: "Value",
    cell: ({ value, input }) => <UserText mono>{fieldText(value, input) || "not set"}</UserText>,
    card: "text",
  },
  {
    label: "From",
    cell: (setting) => (
      <span class={setting.origin === "default" ? "faint small" : "small"}>{originText(setting)}</span>
    ),
    card: "meta",
  },
  {
    label: "Effect",
    cell: ({ doc }) => <span class="muted small">{doc}</span>,
    priority: 2,
    card: "text",
    width: "wide",
  },
];

function AllSettings({ settings }: { readonly settings: readonly Setting[] }) {
  const [text, setText] = useQueryState("q");
  const words = text.toLowerCase();
  const rows = settings.filter(({ key, doc, variable }) => `${key} ${variable} ${doc}`.toLowerCase().includes(words));
  return (
    <>
      <Toolbar>
        <SearchInput value={text} onChange={setText} placeholder="Name, variable or effect" label="Search settings" />
      </Toolbar>
      <DataTable<Setting>
        label="All settings"
        rows={rows}
        rowKey={({ key }) => key}
        columns={COLUMNS}
        dense
        empty={<EmptyState title="No setting matches" text="Change the search." />}
      />
    </>
  );
}
