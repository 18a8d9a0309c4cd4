// The panel of datasets: the table, uploads, a look into the selected one, and deleting.
import { useState } from "preact/hooks";
import { Preview } from "./datasets/preview";
import { type Upload, Uploads, useDrafts } from "./datasets/upload";
import { Ask } from "./lib/ask";
import { Uuid } from "./lib/copy";
import { count } from "./lib/format";
import { useTrait } from "./lib/model";
import { Card, panel, usePanel } from "./lib/panel";
import { type Listing, type Row, Table } from "./lib/table";
import "./datasets.css";

function Delete({ uuids, names, done }: { uuids: string[]; names: string; done?: () => void }) {
  return (
    <Ask
      verb="Delete"
      what={names}
      doing="Deleting"
      question={`Delete ${names}? ${uuids.length > 1 ? "Their" : "Its"} rows cannot be brought back.`}
      keep="Keep"
      command="delete"
      values={{ datasets: uuids }}
      {...(done ? { done } : {})}
    />
  );
}

function Actions({ row, uuid }: { row: Row; uuid: string }) {
  return (
    <>
      <Uuid value={uuid} of={String(row.name)} />
      <Delete uuids={[uuid]} names={`dataset '${row.name}'`} />
    </>
  );
}

function Datasets() {
  const { model, gone } = usePanel();
  const title = useTrait<string>(model, "title");
  const { total } = useTrait<Listing>(model, "listing");
  const uploads = useTrait<Upload[]>(model, "uploads");
  const selected = useTrait<string>(model, "selected");
  const notice = useTrait<string>(model, "notice");
  const drafts = useDrafts();
  const [over, setOver] = useState(false);
  const pill =
    total === null
      ? notice
        ? "unknown"
        : "looking…"
      : `${count(total)} ${total === 1 ? "dataset" : "datasets"}`;
  const drag = (event: DragEvent) => {
    if (gone || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    setOver(event.type === "dragover");
    if (event.type === "drop") drafts.addFiles(event.dataTransfer.files);
  };
  const close = () => {
    model.set("selected", "");
    model.save_changes();
  };
  return (
    <Card title={title} pill={pill} state="idle">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: files are dropped anywhere; keys use the button */}
      <div class={over ? "hanami-over" : ""} onDragOver={drag} onDragLeave={drag} onDrop={drag}>
        <Table
          label="datasets"
          empty="The datasets will be here. Upload a table or pictures below, or with upload_data."
          actions={(row, uuid) => <Actions row={row} uuid={uuid} />}
          bulk={(uuids, clear) => (
            <Delete uuids={uuids} names={`${count(uuids.length)} datasets`} done={clear} />
          )}
        />
        {selected && <Preview key={selected} dataset={selected} close={close} />}
        <Uploads uploads={uploads} drafts={drafts} />
      </div>
    </Card>
  );
}

export default panel(() => <Datasets />);
