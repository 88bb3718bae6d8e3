import { bytes, codePoints, hasOnly, show, titleAndMessage } from "../support/services.ts";
import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const BARK_KEY = "ynJ5Ft4atkMkWeo2PAvFhF";

/** github.com/Finb/bark-server: route_push.go; Apple takes 4 KiB. */
export function barkServer(): Service {
  return {
    preset: "bark",
    fields: (base) => ({ url: base, key: BARK_KEY }),
    secrets: [BARK_KEY],
    answer({ method, path, json, text }: StandInRequest, seen: Seen[]): Reply {
      const failed = (code: number, message: string): Reply => ({ status: code, body: { code, message } });
      if (method !== "POST" || path !== "/push") return failed(404, "Cannot POST");
      if (at(json, "device_key") !== BARK_KEY) return failed(400, "failed to get device token: no such key");
      if (!hasOnly(json, ["device_key", "title", "body", "level", "group", "id", "url"]))
        return failed(400, "request bind failed");
      if (!["critical", "timeSensitive", "active", "passive"].includes(textAt(json, "level")))
        return failed(400, "level");
      if (bytes(text) > 4096) return failed(500, "push failed: PayloadTooLarge");
      show(seen, { id: `${textAt(json, "id")}-${seen.length}`, text: titleAndMessage(json, "title", "body") });
      return { status: 200, body: { code: 200, message: "success", timestamp: 1_712_000_000 } };
    },
  };
}

const PROWL_KEY = "0123456789abcdef0123456789abcdef01234567";

export function prowlApi(): Service {
  const failed = (code: number, text: string): Reply => ({
    status: code,
    body: `<?xml version="1.0" encoding="UTF-8"?><prowl><error code="${code}">${text}</error></prowl>`,
  });
  return {
    preset: "prowl",
    fields: (base) => ({ key: PROWL_KEY, api: base }),
    secrets: [PROWL_KEY],
    answer({ path, form }: StandInRequest, seen: Seen[]): Reply {
      if (path !== "/publicapi/add") return failed(404, "Not found");
      if (form.get("apikey") !== PROWL_KEY) return failed(401, "Invalid API key");
      const [event = "", description = ""] = [form.get("event") ?? "", form.get("description") ?? ""];
      const priority = Number(form.get("priority"));
      if (!Number.isInteger(priority) || Math.abs(priority) > 2) return failed(400, "Bad priority");
      if (event === "" || form.get("application") === null) return failed(400, "Bad request");
      if (bytes(event) > 1024 || bytes(description) > 10_000 || (form.get("url") ?? "").length > 512)
        return failed(400, "Bad request, a parameter is too long");
      show(seen, { id: `p${seen.length + 1}`, text: `${event}\n${description}` });
      return {
        status: 200,
        body: '<?xml version="1.0"?><prowl><success code="200" remaining="994" resetdate="1"/></prowl>',
      };
    },
  };
}

const PUSHBULLET_TOKEN = "o.abcdefghijklmnopqrstuvsecret012";

export function pushbulletApi(): Service {
  const guids = new Map<string, string>();
  return {
    preset: "pushbullet",
    fields: (base) => ({ token: PUSHBULLET_TOKEN, api: base }),
    secrets: [PUSHBULLET_TOKEN],
    isIdempotent: true,
    answer({ path, headers, json }: StandInRequest, seen: Seen[]): Reply {
      const failed = (status: number, code: string): Reply => ({
        status,
        body: { error: { code, type: "invalid_request" } },
      });
      if (headers["access-token"] !== PUSHBULLET_TOKEN) return failed(401, "invalid_access_token");
      if (path !== "/v2/pushes") return failed(404, "not_found");
      if (!["note", "link"].includes(textAt(json, "type"))) return failed(400, "invalid_param");
      const repeated = guids.get(textAt(json, "guid"));
      if (repeated !== undefined) return { status: 200, body: { iden: repeated } };
      const { id } = show(seen, { id: `u${seen.length + 1}`, text: titleAndMessage(json, "title", "body") });
      guids.set(textAt(json, "guid"), id);
      return { status: 200, body: { iden: id, type: textAt(json, "type"), active: true } };
    },
  };
}

const PUSHSAFER_KEY = "secretKeyOf20Letters";

export function pushsaferApi(): Service {
  return {
    preset: "pushsafer",
    fields: (base) => ({ key: PUSHSAFER_KEY, api: base }),
    secrets: [PUSHSAFER_KEY],
    answer({ path, form }: StandInRequest, seen: Seen[]): Reply {
      const failed = (error: string): Reply => ({ status: 200, body: { status: 0, error } });
      if (path !== "/api") return { status: 404, body: "" };
      if (form.get("k") !== PUSHSAFER_KEY) return failed("Private or Alias Key is invalid");
      const text = form.get("m") ?? "";
      if (text === "" || codePoints(text) > 5000) return failed("missing message");
      if (Math.abs(Number(form.get("pr"))) > 2 || !/^#[0-9a-f]{6}$/.test(form.get("c") ?? ""))
        return failed("parameter");
      show(seen, { id: String(seen.length + 1), text: `${form.get("t")}\n${text}` });
      return { status: 200, body: { status: 1, success: "message transmitted", available: 4711 } };
    },
  };
}

const SIMPLEPUSH_KEY = "HuxgBBsecret";

export function simplepushApi(): Service {
  return {
    preset: "simplepush",
    fields: (base) => ({ key: SIMPLEPUSH_KEY, api: base }),
    secrets: [SIMPLEPUSH_KEY],
    answer({ path, form }: StandInRequest, seen: Seen[]): Reply {
      if (path !== "/send") return { status: 404, body: "" };
      if (form.get("key") !== SIMPLEPUSH_KEY)
        return { status: 404, body: { status: "NotFound", message: "Key not found" } };
      const [title, text] = [form.get("title") ?? "", form.get("msg") ?? ""];
      if (text === "") return { status: 200, body: { status: "BadRequest", message: "Title or message missing" } };
      if (codePoints(title) > 1024 || codePoints(text) > 10_000) return { status: 200, body: { status: "BadRequest" } };
      show(seen, { id: String(seen.length + 1), text: `${title}\n${text}` });
      return { status: 200, body: { status: "OK" } };
    },
  };
}
