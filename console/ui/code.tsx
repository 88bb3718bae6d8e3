import { type ComponentChildren, createContext } from "preact";
import { useContext, useState } from "preact/hooks";
import { cx } from "./dom.ts";
import { formatNumber, plural } from "./format.ts";
import { CopyButton } from "./text.tsx";

const STRING_SHOWN = 240;
const ENTRIES_SHOWN = 100;
const OpenLevels = createContext(2);

export interface CodeProps {
  readonly value: unknown;
  readonly label?: string | undefined;
  /** Levels that are open at first. */
  readonly depth?: number | undefined;
  /** In px; more scrolls. */
  readonly maxHeight?: number | undefined;
}

/**
 * JSON as a tree: levels close, long strings and lists are cut until asked for, all of it copies.
 */
export function Code({ value, label, depth = 2, maxHeight = 360 }: CodeProps) {
  return (
    <CodeFrame label={label ?? "JSON"} copy={() => JSON.stringify(value, null, 2) ?? ""} maxHeight={maxHeight}>
      <OpenLevels.Provider value={depth}>
        <div class="json">
          <Value value={value} level={0} last />
        </div>
      </OpenLevels.Provider>
    </CodeFrame>
  );
}

/** Plain text that is code: a command, headers, an answer. */
export function CodeBlock({
  text,
  label,
  wrap,
  maxHeight = 360,
}: {
  readonly text: string;
  readonly label?: string | undefined;
  readonly wrap?: boolean | undefined;
  readonly maxHeight?: number | undefined;
}) {
  return (
    <CodeFrame label={label ?? "Code"} copy={text} maxHeight={maxHeight}>
      <pre class={cx(wrap && "wrap")} dir="auto">
        {text}
      </pre>
    </CodeFrame>
  );
}

function CodeFrame({
  label,
  copy,
  maxHeight,
  children,
}: {
  readonly label: string;
  readonly copy: string | (() => string);
  readonly maxHeight: number;
  readonly children: ComponentChildren;
}) {
  return (
    <div class="code">
      <div class="code-copy">
        <CopyButton text={copy} quiet label={`Copy ${label}`} />
      </div>
      <div class="code-scroll" style={{ maxHeight: `${maxHeight}px` }} tabIndex={0} role="group" aria-label={label}>
        {children}
      </div>
    </div>
  );
}

interface ValueProps {
  readonly name?: string | undefined;
  readonly value: unknown;
  readonly level: number;
  readonly last: boolean;
}

function Value(props: ValueProps) {
  const { value } = props;
  const isTree = typeof value === "object" && value !== null && Object.keys(value).length > 0;
  return <div class="json-row">{isTree ? <Tree {...props} value={value} /> : <Leaf {...props} />}</div>;
}

function Name({ name }: { readonly name: string | undefined }) {
  if (name === undefined) return null;
  return (
    <>
      <bdi class="json-k">{name}</bdi>
      <span class="json-p">: </span>
    </>
  );
}

function Leaf({ name, value, last }: ValueProps) {
  return (
    <>
      <Name name={name} />
      <Scalar value={value} />
      {!last && <span class="json-p">,</span>}
    </>
  );
}

function Scalar({ value }: { readonly value: unknown }) {
  const [whole, setWhole] = useState(false);
  if (typeof value === "string") {
    const isCut = !whole && value.length > STRING_SHOWN;
    const shown = JSON.stringify(isCut ? value.slice(0, STRING_SHOWN) : value);
    return (
      <>
        <bdi class="json-s">{isCut ? `${shown.slice(0, -1)}…"` : shown}</bdi>
        {isCut && <More onClick={() => setWhole(true)}>show all {formatNumber(value.length)} characters</More>}
      </>
    );
  }
  if (typeof value === "object" && value !== null)
    return <span class="json-p">{Array.isArray(value) ? "[]" : "{}"}</span>;
  return <span class={typeof value === "number" ? "json-n" : "json-b"}>{String(value)}</span>;
}

function More({ onClick, children }: { readonly onClick: () => void; readonly children: ComponentChildren }) {
  return (
    <button type="button" class="json-more" onClick={onClick}>
      {children}
    </button>
  );
}

function Tree({ name, value, level, last }: ValueProps & { readonly value: object }) {
  const depth = useContext(OpenLevels);
  const [open, setOpen] = useState(level < depth);
  const [shown, setShown] = useState(ENTRIES_SHOWN);
  const isList = Array.isArray(value);
  const entries = Object.entries(value);
  const [start, end] = isList ? ["[", "]"] : ["{", "}"];
  const count = plural(entries.length, isList ? "item" : "key");
  return (
    <>
      <button type="button" class="json-open" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Name name={name} />
        <span class="json-p">{start}</span>
        {!open && <span class="json-c"> {count} </span>}
        {!open && <span class="json-p">{end}</span>}
      </button>
      {!open && !last && <span class="json-p">,</span>}
      {open && (
        <>
          <div class="json-in">
            {entries.slice(0, shown).map(([key, each], index) => (
              <Value
                key={key}
                name={isList ? undefined : key}
                value={each}
                level={level + 1}
                last={index === entries.length - 1}
              />
            ))}
            {entries.length > shown && (
              <More onClick={() => setShown(shown + 10 * ENTRIES_SHOWN)}>
                {formatNumber(entries.length - shown)} more
              </More>
            )}
          </div>
          <span class="json-p">
            {end}
            {!last && ","}
          </span>
        </>
      )}
    </>
  );
}
