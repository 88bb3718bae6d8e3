import { Search } from "lucide";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { pages } from "../pages/index.ts";
import { Dialog, Icon, useClose } from "../ui/index.ts";
import { navigate } from "./navigate.ts";
import { visibleNav } from "./navigation.tsx";
import type { PaletteEntry } from "./page-module.ts";
import { can } from "./session.ts";

const DELAY_MS = 150;
const MAX_SHOWN = 12;

/** Pages and actions; they need no request. */
function ownEntries(): readonly PaletteEntry[] {
  const navigation = visibleNav().map(({ label, path, icon }) => ({ label, kind: "Page", icon, run: path }));
  const actions = pages
    .flatMap((page) => page.actions ?? [])
    .filter(({ permission }) => permission === undefined || can(permission));
  return [...navigation, ...actions];
}

function matches(entry: PaletteEntry, text: string): boolean {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const label = `${entry.label} ${entry.kind} ${entry.detail ?? ""}`.toLowerCase();
  return words.every((word) => label.includes(word));
}

/** Results of all modules; one that fails has none. */
async function searchModules(text: string): Promise<readonly PaletteEntry[]> {
  const searches = pages.map(async ({ search }) => (search ? await search(text).catch(() => []) : []));
  return (await Promise.all(searches)).flat();
}

/** The command palette: finds pages, actions, and what the modules search for. */
export function Palette() {
  return (
    <Dialog title="Search">
      <PaletteBody />
    </Dialog>
  );
}

function PaletteBody() {
  const [text, setText] = useState("");
  const [found, setFound] = useState<readonly PaletteEntry[]>([]);
  const [isSearching, setSearching] = useState(false);
  const [at, setAt] = useState(0);
  const close = useClose();
  const listId = useId();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  useEffect(() => {
    const words = text.trim();
    setSearching(words.length >= 2);
    if (words.length < 2) return setFound([]);
    let isCurrent = true;
    const timer = setTimeout(async () => {
      const results = await searchModules(words);
      if (!isCurrent) return;
      setFound(results);
      setSearching(false);
    }, DELAY_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [text]);
  // Those of the text before stay until the answer, as far as they match: the list does not jump.
  const kept = isSearching ? found.filter((entry) => matches(entry, text)) : found;
  const all = [...ownEntries().filter((entry) => matches(entry, text)), ...kept];
  const entries = text === "" ? all : all.slice(0, MAX_SHOWN);
  const choose = (entry: PaletteEntry | undefined) => {
    if (!entry) return;
    close();
    if (typeof entry.run === "string") navigate(entry.run);
    else void entry.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) setAt((at + step + entries.length) % Math.max(1, entries.length));
    else if (event.key === "Enter") choose(entries[at]);
    else return;
    event.preventDefault();
  };
  return (
    <div class="palette">
      <div class="control search-in">
        <Icon node={Search} size={14} />
        <input
          ref={input}
          role="combobox"
          aria-expanded="true"
          aria-controls={listId}
          aria-activedescendant={entries.length > 0 ? `${listId}-${at}` : undefined}
          aria-label="Search pages, incidents, alerts, rules, people and ids"
          placeholder="A page, an incident, an alert, a rule, a person or an id"
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <div id={listId} role="listbox" aria-label="Results" class="palette-list">
        {entries.map((entry, index) => (
          <div
            key={`${entry.kind} ${entry.label} ${index}`}
            id={`${listId}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            class="palette-entry"
            onClick={() => choose(entry)}
            onKeyDown={onKeyDown}
            onPointerMove={() => setAt(index)}
          >
            {entry.icon && <Icon node={entry.icon} />}
            <span class="user-text" dir="auto">
              {entry.label}
            </span>
            {entry.detail && (
              <span class="ellipsis muted small" title={entry.detail} dir="auto">
                {entry.detail}
              </span>
            )}
            <span class="palette-kind">{entry.kind}</span>
          </div>
        ))}
      </div>
      <p class="muted small palette-none" role="status">
        {entries.length === 0 && (isSearching ? "Searching…" : "Nothing found for this text.")}
      </p>
    </div>
  );
}
