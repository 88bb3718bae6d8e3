import { createHash } from "node:crypto";

/** Colours and sizes are those of the console (console/styles/tokens.css). */
export const STYLE = `:root{color-scheme:light dark;--bg:light-dark(#f7f7f8,#0f0f14);--surface:light-dark(#fff,#16161d);
--line:light-dark(#e6e6ea,#262631);--text:light-dark(#16161d,#ececf1);--muted:light-dark(#5d5d6b,#a3a3b3);
--accent:light-dark(#4f46e5,#8f88ff);--on-accent:light-dark(#fff,#12121a);--ok:light-dark(#0f7b4f,#52c993);
--ok-bg:light-dark(#e6f5ee,#12291f);--warn:light-dark(#8f5a00,#e5ae4c);--warn-bg:light-dark(#fff4df,#2d2413);
--bad:light-dark(#bd2231,#ff7c88);--bad-bg:light-dark(#fdebec,#331a1e);--info:light-dark(#0b62a8,#6db7f2);
--info-bg:light-dark(#e8f3fc,#132637);--none:light-dark(#d7d7de,#343442)}
*{box-sizing:border-box}
body{margin:0 auto;max-width:820px;padding:32px 16px;background:var(--bg);color:var(--text);overflow-wrap:anywhere;
font:14px/1.5 "Inter var","Inter",ui-sans-serif,system-ui,"Segoe UI",Roboto,sans-serif}
h1{font-size:26px;line-height:1.25;margin:0}h2{font-size:16px;margin:32px 0 8px}h3{font-size:14px;margin:0}.row h2{margin:0}
p{margin:4px 0}a{color:var(--accent)}header{margin-bottom:24px}footer{margin-top:32px;display:flex;gap:16px;flex-wrap:wrap}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.muted{color:var(--muted)}.small{font-size:13px}
.card{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:16px;margin:0 0 12px;list-style:none}
.row{display:flex;justify-content:space-between;align-items:center;gap:12px;flex-wrap:wrap}
.overall{display:flex;align-items:center;gap:12px;font-size:20px;font-weight:600;padding:16px;border-radius:10px;margin:0 0 16px}
.dot{width:12px;height:12px;border-radius:50%;background:currentcolor;flex:none}
ul.card{padding:0}ul.card>li{padding:16px}ul.card>li+li{border-top:1px solid var(--line)}
.state{font-weight:600;color:var(--muted)}.text{white-space:pre-wrap}
.operational{color:var(--ok)}.maintenance{color:var(--info)}.degraded{color:var(--warn)}
.partial{color:var(--warn)}.outage{color:var(--bad)}article{color:var(--text)!important}
.overall.operational{background:var(--ok-bg)}.overall.maintenance{background:var(--info-bg)}
.overall.degraded,.overall.partial{background:var(--warn-bg)}.overall.outage{background:var(--bad-bg)}
.days{display:flex;gap:2px;height:32px;margin:8px 0 4px}.days span{flex:1;min-width:1px;border-radius:2px;background:currentcolor}
.days .none{background:var(--none)}.days .partial{background:repeating-linear-gradient(0deg,var(--bad) 0 4px,var(--warn) 4px 8px)}
.notice{border-left:4px solid var(--bad)}.notice.maintenance{border-left-color:var(--info)}.notice.over{border-left-color:var(--line)}
.updates{list-style:none;padding:0;margin:12px 0 0}.updates li+li{margin-top:12px}
.past{padding:8px 0;border-bottom:1px solid var(--line);margin:0}
label{display:block;font-weight:600;margin-bottom:4px}input{flex:1;min-width:12em}
input,button{font:inherit;padding:8px 12px;min-height:40px;border-radius:6px;border:1px solid var(--line)}
input{background:var(--bg);color:var(--text);border-color:var(--muted)}
button{background:var(--accent);color:var(--on-accent);border-color:transparent;font-weight:600;cursor:pointer}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
`;

/** Asks every half minute whether the page has changed, which costs a 304 if it has not. */
export const SCRIPT = `const main = document.querySelector("main");
setInterval(async () => {
  if (document.hidden || main.contains(document.activeElement)) return;
  const response = await fetch(location.href).catch(() => null);
  if (!response || !response.ok) return;
  const next = new DOMParser().parseFromString(await response.text(), "text/html");
  const changed = next.querySelector("main");
  if (!changed || changed.innerHTML === main.innerHTML) return;
  main.replaceChildren(...changed.childNodes);
  document.title = next.title;
}, 30000);
`;

/** Names the assets of this version. */
export const ASSET_VERSION = createHash("sha256").update(STYLE).update(SCRIPT).digest("hex").slice(0, 10);
