import { signal } from "@preact/signals";
import { ChevronDown, ChevronRight, Menu as MenuIcon, Search } from "lucide";
import { useEffect, useRef } from "preact/hooks";
import { pages } from "../pages/index.ts";
import { Avatar, Button, Drawer, Icon, KeyHint, Menu, useClose } from "../ui/index.ts";
import { href } from "./base.ts";
import { BrandMark } from "./brand.tsx";
import { connection } from "./live.ts";
import { canInProject } from "./memberships.ts";
import { navigate, usePath } from "./navigate.ts";
import type { NavItem } from "./page-module.ts";
import { personName } from "./people.ts";
import { can, me, signOut } from "./session.ts";

const GROUPS = [
  { name: "main", title: null, isOpen: true },
  { name: "watch", title: "Watch", isOpen: true },
  { name: "build", title: "Set up", isOpen: true },
  { name: "operate", title: "Operate", isOpen: false },
  { name: "administer", title: "Administer", isOpen: false },
] as const;
type Group = (typeof GROUPS)[number];

const OPEN_KEY = "prism.menu";
/** By the names of groups: those that a person has opened or folded in this browser. */
const chosen = signal<Readonly<Record<string, boolean>>>(readChosen());

function readChosen(): Readonly<Record<string, boolean>> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(OPEN_KEY) ?? "{}");
    return typeof kept === "object" && kept !== null ? (kept as Record<string, boolean>) : {};
  } catch {
    return {};
  }
}

/** Of the long groups one is open at a time, so that a window of 900 px shows all entries. */
const LONG = GROUPS.filter(({ isOpen }) => !isOpen).map(({ name }) => name as string);

function choose(name: string, isOpen: boolean): void {
  const folded = isOpen && LONG.includes(name) ? LONG.filter((other) => other !== name) : [];
  chosen.value = {
    ...chosen.peek(),
    ...Object.fromEntries(folded.map((other) => [other, false])),
    [name]: isOpen,
  };
  localStorage.setItem(OPEN_KEY, JSON.stringify(chosen.peek()));
}

/** All entries that the user may open, in the order of the modules. */
export function visibleNav(): readonly NavItem[] {
  return pages
    .flatMap((page) => page.nav ?? [])
    .filter(({ permission, within }) => permission === undefined || (within ? canInProject : can)(permission) === true);
}

/** Whether a page is below an entry of the navigation. */
function isBelow(item: NavItem, path: string): boolean {
  return item.path === "/" ? path === "/" : path === item.path || path.startsWith(`${item.path}/`);
}

/** The entry of a page: the nearest one that it is below. */
function currentOf(items: readonly NavItem[], path: string): NavItem | undefined {
  return items.filter((item) => isBelow(item, path)).sort((a, b) => b.path.length - a.path.length)[0];
}

/** The long group that is open: that of the page unless it was folded, otherwise the chosen one. */
function openLong(current: string | undefined): string | undefined {
  const known = chosen.value;
  if (current !== undefined && LONG.includes(current) && known[current] !== false) return current;
  return LONG.find((name) => known[name] === true);
}

export function SideBar({ onSearch }: { readonly onSearch: () => void }) {
  const path = usePath();
  const items = visibleNav();
  return (
    <nav class="side" aria-label="Main">
      <Brand />
      <button type="button" class="side-search" onClick={onSearch}>
        <Icon node={Search} />
        <span>Search</span>
        <KeyHint keys="Ctrl K" />
      </button>
      <div class="side-items">
        <NavGroups items={items} path={path} />
      </div>
      <Account />
    </nav>
  );
}

function Brand() {
  return (
    <a class="brand" href={href("/")}>
      <BrandMark />
      Prism
    </a>
  );
}

interface GroupsProps {
  readonly items: readonly NavItem[];
  readonly path: string;
}

/** The entries by groups, which fold. The current entry is in an open one and in view. */
function NavGroups({ items, path }: GroupsProps) {
  const end = useRef<HTMLSpanElement>(null);
  const current = currentOf(items, path);
  const group = current?.group;
  const long = openLong(group);
  useEffect(() => {
    // A page that is opened in another way, such as by its key, shows where it is.
    if (group !== undefined && chosen.peek()[group] === false) choose(group, true);
  }, [group]);
  useEffect(() => {
    end.current?.parentElement?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }, [current?.path]);
  return (
    <>
      {GROUPS.map((each) => (
        <NavGroup
          key={each.name}
          group={each}
          isOpen={each.isOpen ? (chosen.value[each.name] ?? true) : each.name === long}
          items={items.filter((item) => item.group === each.name)}
          current={current}
        />
      ))}
      <span ref={end} />
    </>
  );
}

interface GroupProps {
  readonly items: readonly NavItem[];
  readonly current: NavItem | undefined;
  readonly group: Group;
  readonly isOpen: boolean;
}

function NavGroup({ group: { name, title }, isOpen, items, current }: GroupProps) {
  if (items.length === 0) return null;
  const links = items.map((item) => <NavLink key={item.path} item={item} isCurrent={item === current} />);
  if (title === null) return <>{links}</>;
  return (
    <>
      <button
        type="button"
        class="group"
        aria-expanded={isOpen}
        onClick={(event) => {
          // The menu of a phone closes with a press on an entry.
          event.stopPropagation();
          choose(name, !isOpen);
        }}
      >
        {title}
        <Icon node={isOpen ? ChevronDown : ChevronRight} size={14} />
      </button>
      {isOpen && links}
    </>
  );
}

function NavLink({ item, isCurrent }: { readonly item: NavItem; readonly isCurrent: boolean }) {
  const count = item.badge?.value ?? 0;
  const hint = item.shortcut === undefined ? {} : { title: `${item.label} (g ${item.shortcut})` };
  return (
    <a href={href(item.path)} aria-current={isCurrent ? "page" : undefined} {...hint}>
      <Icon node={item.icon} />
      <span>{item.label}</span>
      {count > 0 && <span class="n">{count > 99 ? "99+" : count}</span>}
    </a>
  );
}

const CONNECTION_WORDS = { live: "Live", connecting: "Reconnecting", offline: "Offline" } as const;

function Account() {
  const user = me.value;
  if (!user) return null;
  const name = personName(user);
  const state = connection.value;
  return (
    <div class="me">
      <Avatar name={name} />
      <div class="me-text">
        <a class="ellipsis" href={href("/account")} title={name} dir="auto">
          {name}
        </a>
        <span class="live" data-state={state} role="status">
          <i />
          {CONNECTION_WORDS[state]}
        </span>
      </div>
      <Menu
        label="Your account"
        small
        items={[
          { label: "Account and security", onSelect: () => navigate("/account") },
          { label: "Appearance", onSelect: () => navigate("/account/appearance") },
          "separator",
          { label: "Sign out", onSelect: signOut },
        ]}
      />
    </div>
  );
}

/** The room beside an icon is that of three letters. */
function shortCount(count: number): string {
  return count > 99 ? "99+" : `${count}`;
}

/** The bar at the bottom of a phone's screen. */
export function TabBar({ onMore }: { readonly onMore: () => void }) {
  const path = usePath();
  const items = visibleNav()
    .filter(({ tab }) => tab !== undefined)
    .sort((a, b) => (a.tab ?? 0) - (b.tab ?? 0));
  return (
    <nav class="tabbar" aria-label="Main, phone">
      {items.slice(0, 4).map((item) => (
        <a key={item.path} href={href(item.path)} aria-current={isBelow(item, path) ? "page" : undefined}>
          <Icon node={item.icon} size={20} />
          <span>{item.label}</span>
          {(item.badge?.value ?? 0) > 0 && <span class="n">{shortCount(item.badge?.value ?? 0)}</span>}
        </a>
      ))}
      <button type="button" onClick={onMore}>
        <Icon node={MenuIcon} size={20} />
        <span>More</span>
      </button>
    </nav>
  );
}

/** All pages on a phone, with the account. */
export function MoreMenu({ onSearch }: { readonly onSearch: () => void }) {
  const path = usePath();
  const items = visibleNav();
  const close = useClose();
  const search = () => {
    close();
    onSearch();
  };
  return (
    <Drawer title="All pages">
      <div class="stack s2">
        <Button icon={Search} full onClick={search}>
          Search
        </Button>
        <Account />
      </div>
      <nav class="more" aria-label="All pages" onClick={(event) => event.target !== event.currentTarget && close()}>
        <NavGroups items={items} path={path} />
      </nav>
    </Drawer>
  );
}
