// Files that become datasets: chosen, dropped or named by their path; named, paired, sent, cancelled.
import { useRef, useState } from "preact/hooks";
import { percent } from "../lib/format";
import type { Commands } from "../lib/model";
import { Icon, Notice, submitOnEnter, usePanel } from "../lib/panel";
import { sendPieces } from "./pieces";

/** A file as the kernel sees it: what it is, and what its dataset may be called. */
export interface Source {
  name: string;
  size: number;
  kind: "csv" | "images" | "labels";
  suggested: string;
  file?: File;
  path?: string;
}

/** A dataset to be: its name and its files, images before labels. */
export interface Draft {
  id: number;
  name: string;
  sources: Source[];
  error: string;
}

/** An upload under way, as the kernel tells it. */
export interface Upload {
  id: string;
  name: string;
  state: "receiving" | "sending" | "failed";
  share: number;
  error: string;
}

const HEAD = 4096;
const NAME = /^[a-zA-Z][a-zA-Z_0-9\- ]*$/;
let drafts = 0;

const lone = (draft: Draft, kind: Source["kind"]) =>
  draft.sources.length === 1 && draft.sources[0]?.kind === kind;

/** Add files; images and labels of the same name become one dataset, and so do the only two of their kinds. */
export function joined(before: Draft[], sources: Source[]): Draft[] {
  let all = [...before];
  for (const source of sources) {
    drafts += 1;
    all.push({ id: drafts, name: source.suggested, sources: [source], error: "" });
  }
  const pair = (images: Draft, labels: Draft) => {
    all = all
      .filter((draft) => draft !== labels)
      .map((draft) =>
        draft === images ? { ...images, sources: [...images.sources, ...labels.sources] } : draft,
      );
  };
  for (const images of all.filter((draft) => lone(draft, "images"))) {
    const same = ({ sources: [source] }: Draft) => source?.suggested === images.sources[0]?.suggested;
    const labels = all.find((draft) => lone(draft, "labels") && same(draft));
    if (labels) pair(images, labels);
  }
  const [images, labels] = (["images", "labels"] as const).map((kind) =>
    all.filter((draft) => lone(draft, kind)),
  );
  if (images?.length === 1 && labels?.length === 1) pair(images[0] as Draft, labels[0] as Draft);
  return all;
}

/** What keeps a draft from being uploaded, in words; "" if nothing does. */
export function missing({ name, sources }: Draft): string {
  const [source] = sources;
  if (sources.length === 1 && source && source.kind !== "csv") {
    const other = source.kind === "images" ? "labels" : "images";
    return `'${source.name}' holds ${source.kind} alone. Add the IDX file of ${other}.`;
  }
  if (name.trim().length < 4 || name.trim().length > 254) return "A name has 4 to 254 characters.";
  return NAME.test(name.trim())
    ? ""
    : "A name begins with a letter and holds letters, digits, '_', '-' and spaces.";
}

/** Bytes with the unit that reads best: "9.9 MB". */
export function bytes(size: number): string {
  if (size < 1000) return `${size} bytes`;
  const step = Math.min(Math.floor(Math.log10(size) / 3), 3);
  return `${Number((size / 1000 ** step).toPrecision(3))} ${["", "kB", "MB", "GB"][step]}`;
}

async function look(commands: Commands, file: File): Promise<Source> {
  const head = await file
    .slice(0, HEAD)
    .arrayBuffer()
    .catch(() => {
      throw new Error(`'${file.name}' cannot be read. Choose a file, not a folder.`);
    });
  const found = await commands.send<Source>("look", { name: file.name }, new Uint8Array(head));
  return { ...found, size: file.size, file };
}

/** Send a draft's files to the kernel and let it go on; tells the upload's id as soon as there is one. */
async function send(commands: Commands, draft: Draft, begun: (id: string) => void): Promise<void> {
  const files = draft.sources.map(({ name, size, path }) => (path ? { path } : { name, size }));
  const upload = await commands.send<string>("begin", { name: draft.name, files });
  begun(upload);
  const local = draft.sources.flatMap(({ file }) => file ?? []);
  try {
    for (const [index, file] of local.entries()) {
      await sendPieces(file, (offset, checksum, piece) =>
        commands.send("piece", { upload, file: index, offset, checksum }, piece),
      );
    }
    await commands.send("finish", { upload });
  } catch (reason) {
    commands.send("cancel", { upload }).catch(() => {});
    throw reason;
  }
}

/** The drafts of a view, and what can be done with them. */
export function useDrafts() {
  const { commands } = usePanel();
  const [list, setList] = useState<Draft[]>([]);
  const [error, setError] = useState("");
  const cancelled = useRef(new Set<string>());
  const add = async (found: Promise<Source>[]) => {
    setError("");
    const settled = await Promise.allSettled(found);
    const sources = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    setList((before) => joined(before, sources));
    setError(settled.flatMap((one) => (one.status === "rejected" ? [one.reason.message] : [])).join(" "));
    return sources.length === found.length;
  };
  const change = (id: number, values: Partial<Draft>) =>
    setList((before) => before.map((draft) => (draft.id === id ? { ...draft, ...values } : draft)));
  const remove = (id: number) => setList((before) => before.filter((draft) => draft.id !== id));
  const upload = async () => {
    for (const draft of list.filter((one) => !missing(one))) {
      let upload = "";
      try {
        await send(commands, draft, (id) => {
          upload = id;
          remove(draft.id);
        });
      } catch (reason) {
        if (cancelled.current.has(upload)) continue;
        const failed = { ...draft, error: (reason as Error).message };
        setList((before) => [...before.filter((other) => other.id !== draft.id), failed]);
      }
    }
  };
  const addFiles = (files: Iterable<File>) => add([...files].map((file) => look(commands, file)));
  const addPath = (path: string) =>
    add([commands.send<Source>("look", { path }).then((found) => ({ ...found, path }))]);
  const cancel = (id: string) => {
    cancelled.current.add(id);
    commands.send("cancel", { upload: id }).catch((reason: Error) => setError(reason.message));
  };
  return { list, error, addFiles, addPath, change, remove, upload, cancel };
}

export type Drafts = ReturnType<typeof useDrafts>;

function DraftRow({ draft, drafts: { change, remove } }: { draft: Draft; drafts: Drafts }) {
  const { gone } = usePanel();
  const fault = missing(draft);
  const files = draft.sources.map(({ name }) => name).join(" and ");
  return (
    <li>
      <label>
        Name{" "}
        <input
          value={draft.name}
          disabled={gone}
          aria-invalid={fault !== ""}
          onInput={(event) => change(draft.id, { name: event.currentTarget.value, error: "" })}
        />
      </label>
      <span class="hanami-grow">
        {files} · {bytes(draft.sources.reduce((sum, { size }) => sum + size, 0))}
      </span>
      <button type="button" aria-label={`Remove ${files}`} onClick={() => remove(draft.id)}>
        Remove
      </button>
      {(draft.error || fault) && <Notice text={draft.error || fault} />}
    </li>
  );
}

const STEPS = { receiving: "to the kernel", sending: "to the server", failed: "failed" };

function UploadRow({ upload, cancel }: { upload: Upload; cancel: (id: string) => void }) {
  const { gone } = usePanel();
  const failed = upload.state === "failed";
  const done = percent(upload.share);
  return (
    <li data-state={upload.state}>
      <span>
        <Icon state={failed ? "failed" : "active"} /> {upload.name}
      </span>
      {!failed && (
        <>
          <div
            class="hanami-bar"
            role="progressbar"
            aria-label={`upload of ${upload.name}`}
            aria-valuemin={0}
            aria-valuemax={100}
            aria-valuenow={done}
          >
            <div style={{ width: `${done}%` }} />
          </div>
          <span>
            {done} % · {STEPS[upload.state]}
          </span>
        </>
      )}
      {failed && <span class="hanami-reason">{upload.error}</span>}
      <button
        type="button"
        disabled={gone}
        aria-label={`${failed ? "Dismiss" : "Cancel"} upload of ${upload.name}`}
        onClick={() => cancel(upload.id)}
      >
        {failed ? "Dismiss" : "Cancel"}
      </button>
    </li>
  );
}

export function Uploads({ uploads, drafts }: { uploads: Upload[]; drafts: Drafts }) {
  const { gone } = usePanel();
  const ready = drafts.list.filter((draft) => !missing(draft)).length;
  return (
    <div class="hanami-uploads">
      {(uploads.length > 0 || drafts.list.length > 0) && (
        <ul>
          {uploads.map((upload) => (
            <UploadRow key={upload.id} upload={upload} cancel={drafts.cancel} />
          ))}
          {drafts.list.map((draft) => (
            <DraftRow key={draft.id} {...{ draft, drafts }} />
          ))}
        </ul>
      )}
      {drafts.list.length > 0 && (
        <button type="button" class="hanami-primary" disabled={gone || !ready} onClick={drafts.upload}>
          {ready > 1 ? `Upload ${ready} datasets` : "Upload"}
        </button>
      )}
      {drafts.error && <Notice text={drafts.error} />}
      <Choose drafts={drafts} />
    </div>
  );
}

function Choose({ drafts }: { drafts: Drafts }) {
  const { gone } = usePanel();
  const chooser = useRef<HTMLInputElement>(null);
  const [path, setPath] = useState("");
  const add = async (event: Event) => {
    event.preventDefault();
    if (path.trim() && (await drafts.addPath(path.trim()))) setPath("");
  };
  return (
    <form class="hanami-choose" onSubmit={add} onKeyDown={submitOnEnter}>
      <span>Drop CSV or IDX files here, or</span>
      <button type="button" disabled={gone} onClick={() => chooser.current?.click()}>
        Choose files
      </button>
      <input
        ref={chooser}
        type="file"
        multiple
        hidden
        aria-label="Files"
        onChange={(event) => {
          drafts.addFiles(event.currentTarget.files ?? []);
          event.currentTarget.value = "";
        }}
      />
      <label>
        or a path on the kernel's disk{" "}
        <input value={path} disabled={gone} onInput={(event) => setPath(event.currentTarget.value)} />
      </label>
      <button type="submit" disabled={gone || !path.trim()}>
        Add
      </button>
    </form>
  );
}
