import { Cable } from "lucide";
import type {
  Channel,
  ChannelPreset,
  Integration,
  Receiver,
  ReceiverPreset,
} from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { useFileColumn, useManagedQuery } from "../../app/managed.tsx";
import { canInProject } from "../../app/memberships.ts";
import { knownOr, ProjectChoice } from "../../app/project-choice.tsx";
import { useProjects } from "../../app/projects.ts";
import { useGet, useList } from "../../app/query.ts";
import {
  Badge,
  type Column,
  choices,
  DataTable,
  EmptyState,
  Loaded,
  Page,
  SearchInput,
  Segmented,
  Time,
  Toolbar,
  UserText,
  useShownWith,
  useTogether,
} from "../../ui/index.ts";
import { Claims } from "./claims.tsx";
import { GROUPS, galleryOrder, serviceOf } from "./connect-types.ts";
import { IntegrationKeys, PROTOCOLS } from "./integrations.tsx";
import { Tile, useLogos } from "./tile.tsx";
import { apiName, type Uses, usesOfChannels, usesOfReceivers } from "./uses.ts";

const KINDS = choices({ receivers: "Receive", channels: "Send" });

/** All senders and services, those that are set up first. */
export default function Connect() {
  const filters = useFilters({ q: "", kind: "receivers", project: "default" });
  const projects = useProjects();
  const { q, kind } = filters.values;
  const project = knownOr(projects, filters.values.project);
  return (
    <Page title="Connect" subtitle="Programs that deliver to Prism, and services to which it sends.">
      <Toolbar>
        <Segmented label="Direction" {...filters.bind("kind")} options={KINDS} />
        <SearchInput {...filters.bind("q")} placeholder="GitHub, Slack, …" label="Search programs and services" />
        <ProjectChoice value={project} onChange={filters.bind("project").onChange} projects={projects} />
      </Toolbar>
      {kind === "channels" ? <Channels q={q} project={project} /> : <Receivers q={q} project={project} />}
    </Page>
  );
}

interface PartProps {
  readonly q: string;
  readonly project: string;
}

function matches(q: string, ...texts: readonly string[]): boolean {
  return texts.some((text) => text.toLowerCase().includes(q.trim().toLowerCase()));
}

const RECEIVER_COLUMNS = (titleOf: TitleOf): readonly Column<Receiver>[] => [
  { label: "Receiver", cell: ({ name }) => <UserText>{name}</UserText>, width: "wide" },
  {
    label: "State",
    cell: ({ active }) => <Badge tone={active ? "ok" : "warn"}>{active ? "on" : "paused"}</Badge>,
    card: "aside",
    width: "min",
  },
  { label: "From", cell: ({ preset }) => titleOf(preset) },
  { label: "Last request", cell: ({ lastRequestAt }) => <Time at={lastRequestAt} empty="none yet" />, align: "end" },
];

/** The words for a preset. */
type TitleOf = (preset: string) => string;

/** Presets that take anything say so. */
const WORDS: Readonly<Record<string, string>> = { generic: "any program", http: "any URL" };

function titlesIn(presets: readonly (ReceiverPreset | ChannelPreset)[] = []): TitleOf {
  return (preset) => WORDS[preset] ?? presets.find(({ name }) => name === preset)?.title ?? preset;
}

function Receivers({ q, project }: PartProps) {
  const list = useList<Receiver>("/receivers", { projectId: project, limit: 100 });
  const presets = useGet<{ readonly data: readonly ReceiverPreset[] }>("/receivers/presets");
  const keys = useList<Integration>("/integrations", { projectId: project, limit: 100 });
  const titleOf = titlesIn(presets.data?.data);
  const rows = list.items?.filter(({ name, preset }) => matches(q, name, preset, titleOf(preset)));
  const files = useFileColumn<Receiver>("receivers", ({ id }) => id);
  return (
    <div class="stack s5">
      <DataTable<Receiver>
        label="Receivers"
        list={useTogether(list, presets, useManagedQuery("receivers"))}
        rows={rows}
        columns={[...RECEIVER_COLUMNS(titleOf), ...files]}
        rowHref={({ id }) => href(`/connect/receivers/${id}`)}
        empty={<Empty what="receiver" q={q} text="Choose what sends below: Prism gives you a URL for it." />}
      />
      <Claims />
      <IntegrationKeys project={project} q={q} />
      <Loaded query={presets}>
        {({ data }) => (
          <Presets
            presets={data}
            kind="receivers"
            q={q}
            canMake={canInProject("receivers:write") === true}
            uses={usesOfReceivers(list.items ?? [], keys.items ?? [])}
          />
        )}
      </Loaded>
    </div>
  );
}

const CHANNEL_COLUMNS = (titleOf: TitleOf): readonly Column<Channel>[] => [
  { label: "Channel", cell: ({ name }) => <UserText>{name}</UserText>, width: "wide" },
  { label: "State", cell: (channel) => <ChannelBadge channel={channel} />, card: "aside", width: "min" },
  { label: "To", cell: ({ preset }) => titleOf(preset) },
  { label: "Of", cell: ({ projectId }) => (projectId === null ? "you" : "the project"), align: "end" },
];

export function ChannelBadge({ channel }: { readonly channel: Channel }) {
  const { active, failures, disabledAt } = channel;
  if (!active) return <Badge tone={disabledAt === null ? "plain" : "bad"}>disabled</Badge>;
  return failures > 0 ? <Badge tone="warn">fails</Badge> : <Badge tone="ok">on</Badge>;
}

function Channels({ q, project }: PartProps) {
  const own = useList<Channel>("/channels", { limit: 100 });
  const shared = useList<Channel>("/channels", { projectId: project, limit: 100 });
  const presets = useGet<{ readonly presets: readonly ChannelPreset[] }>("/channels/presets");
  const files = useFileColumn<Channel>("channels", ({ id }) => id);
  const areThere = own.items !== undefined && shared.items !== undefined;
  const isWhole = useShownWith(areThere, [presets, useManagedQuery("channels")]);
  const all = isWhole && own.items && shared.items ? [...shared.items, ...own.items] : undefined;
  const titleOf = titlesIn(presets.data?.presets);
  const rows = all?.filter(({ name, preset }) => matches(q, name, preset, titleOf(preset)));
  return (
    <div class="stack s5">
      <DataTable<Channel>
        label="Channels"
        rows={rows}
        loading={own.loading || shared.loading}
        error={own.error ?? shared.error}
        retry={() => {
          own.reload();
          shared.reload();
        }}
        columns={[...CHANNEL_COLUMNS(titleOf), ...files]}
        rowHref={({ id }) => href(`/connect/channels/${id}`)}
        rowTone={({ disabledAt }) => (disabledAt === null ? undefined : "bad")}
        empty={<Empty what="channel" q={q} text="Choose a service below: your notifications are sent to it, too." />}
      />
      <Loaded query={presets}>
        {({ presets: data }) => (
          <Presets presets={data} kind="channels" q={q} canMake uses={usesOfChannels(all ?? [])} />
        )}
      </Loaded>
    </div>
  );
}

function Empty({ what, q, text }: { readonly what: string; readonly q: string; readonly text: string }) {
  return q === "" ? (
    <EmptyState small icon={Cable} title={`No ${what} is set up`} text={text} />
  ) : (
    <EmptyState small title={`No ${what} that is set up matches`} />
  );
}

interface PresetsProps {
  readonly presets: readonly (ReceiverPreset | ChannelPreset)[];
  readonly kind: "receivers" | "channels";
  readonly q: string;
  /** Whether the user may set one up. */
  readonly canMake: boolean;
  /** What is set up, by tile. */
  readonly uses: Uses;
}

/** Programs that can send to another service need a key instead of a receiver. */
function apiTiles(q: string) {
  const canMake = canInProject("policies:write") === true;
  return Object.entries(PROTOCOLS)
    .filter(([, { title }]) => matches(q, title, GROUPS["apis"] ?? ""))
    .map(([kind, { title }]) => ({
      name: apiName(kind),
      logo: kind,
      title,
      section: "apis",
      word: "for programs that send there",
      path: canMake ? `/connect/integrations/new/${kind}` : null,
    }));
}

/** The gallery by group; services with the most used first, and a word of what each is. */
function Presets({ presets, kind, q, canMake, uses }: PresetsProps) {
  const logoOf = useLogos();
  const found = presets.filter(({ name, title, group }) => matches(q, name, title, GROUPS[group] ?? group));
  const isServices = kind === "channels";
  const ofPresets = (isServices ? found.toSorted(galleryOrder) : found).map((preset) => {
    const { section, word } = isServices ? serviceOf(preset) : { section: preset.group, word: "" };
    const path = canMake ? `/connect/${kind}/new/${preset.name}` : null;
    return { name: preset.name, logo: preset.name, title: preset.title, section, word, path };
  });
  const tiles = isServices ? ofPresets : [...apiTiles(q), ...ofPresets];
  const sections = [...new Set(tiles.map(({ section }) => section))];
  if (tiles.length === 0)
    return <EmptyState title="Nothing matches" text="“Generic” takes any program that can call a URL." />;
  return (
    <>
      {sections.map((section) => (
        <section key={section} class="section" aria-label={GROUPS[section] ?? section}>
          <h2>{GROUPS[section] ?? section}</h2>
          <div class="connect-tiles">
            {tiles
              .filter((tile) => tile.section === section)
              .map(({ name, logo, ...tile }) => (
                <Tile key={name} {...tile} logo={logoOf?.(logo)} use={uses.get(name)} />
              ))}
            {section === "known" && (
              <Tile
                title="Mail"
                word="to the address of your account"
                path="/account/notifications"
                logo={undefined}
                use={undefined}
              />
            )}
          </div>
        </section>
      ))}
    </>
  );
}
