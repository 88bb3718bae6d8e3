import { type IncomingHttpHeaders, request } from "node:http";

export const SECRET = "a secret of the proxy";

export const PROXY = {
  "auth.proxyHeader.name": "Remote-User",
  "auth.proxyHeader.from": "127.0.0.1",
  "auth.proxyHeader.secret": SECRET,
};

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

type Headers = Readonly<Record<string, string | readonly string[]>>;

/** The headers of a proxy that has signed this person in. */
export const proxied = (user: string, more: Headers = {}): Headers => ({
  ...{ "Remote-User": user, "Prism-Proxy-Secret": SECRET },
  ...more,
});

/** A GET request; a header with several values has as many lines. @param localAddress whence it comes */
export function get(url: string, headers: Headers = {}, localAddress = "127.0.0.1"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers: headers as Record<string, string | string[]>, localAddress, agent: false });
    sent.on("error", reject);
    sent.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    sent.end();
  });
}
