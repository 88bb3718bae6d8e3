import { useEffect, useState } from "preact/hooks";
import { href } from "../../app/base.ts";
import { Badge, Time } from "../../ui/index.ts";
import type { Use } from "./uses.ts";

type LogoOf = (preset: string) => string | undefined;

/** Logos are loaded once the page stands. */
let loaded: LogoOf | undefined;

/** The logos of presets; undefined until they are loaded. */
export function useLogos(): LogoOf | undefined {
  const [logoOf, setLogos] = useState(() => loaded);
  useEffect(() => {
    if (loaded) return;
    let isGone = false;
    // Without them the tiles keep their letters.
    void import("./logos.ts").then(
      (module) => {
        loaded = module.logoOf;
        if (!isGone) setLogos(() => module.logoOf);
      },
      () => undefined,
    );
    return () => {
      isGone = true;
    };
  }, []);
  return logoOf;
}

interface TileProps {
  readonly title: string;
  readonly word: string;
  /** Path of the logo in a box of 24; undefined: the first letter of the title. */
  readonly logo: string | undefined;
  /** Null: the user may not set it up. */
  readonly path: string | null;
  /** What is set up of it; undefined: nothing. */
  readonly use: Use | undefined;
}

export function Tile({ title, word, logo, path, use }: TileProps) {
  const content = (
    <>
      <span class="connect-logo" aria-hidden="true" data-letter={logo === undefined ? title.slice(0, 1) : undefined}>
        {logo !== undefined && (
          <svg viewBox="0 0 24 24">
            <path d={logo} />
          </svg>
        )}
      </span>
      <span class="connect-text">
        <span>{title}</span>
        {word !== "" && <span class="muted small">{word}</span>}
        {use && <UseLine use={use} />}
      </span>
    </>
  );
  if (path === null) return <span class="connect-tile">{content}</span>;
  return (
    <a class="connect-tile" href={href(path)}>
      {content}
    </a>
  );
}

/** How many are set up, when the last request or message came, and what is wrong. */
function UseLine({ use: { count, lastAt, failing, disabled, isSend } }: { readonly use: Use }) {
  return (
    <span class="small connect-use">
      <span class="muted">
        {count} set up,{" "}
        {lastAt === null ? (
          `${isSend ? "nothing accepted" : "no request"} yet`
        ) : (
          <>
            {isSend ? "last accepted" : "last request"} <Time at={lastAt} />
          </>
        )}
      </span>
      {failing > 0 && <Badge tone="warn">{failing === count ? "fails" : `${failing} fail`}</Badge>}
      {disabled > 0 && <Badge tone="bad">{disabled === count ? "disabled" : `${disabled} disabled`}</Badge>}
    </span>
  );
}
