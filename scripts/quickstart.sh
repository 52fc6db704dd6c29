#!/usr/bin/env bash
# The main job on an embedded data set: paint scenes, convert, fine-tune the network that comes along, evaluate, predict,
# export.
# bash scripts/quickstart.sh [folder for everything it makes, default runs/quickstart]

source "$(dirname "$0")/environment.sh"
install_project
ksac="$VENV/bin/ksac"
place="${1:-runs/quickstart}"
mkdir -p "$place"

if [ ! -e "$place/data/scenes" ]; then
    "$ksac" convert --dataset=scenes --raw_dir="$place/raw" --data_dir="$place/data"
fi
"$ksac" train --config=finetune --data=scenes --workdir="$place/run" --data_dir="$place/data" \
    "--config.stages[0].steps=700" "--config.stages[0].data.crop_size=129,129" \
    "--config.stages[0].optimizer.args.backbone_lr=0.3"
"$ksac" evaluate --workdir="$place/run" --data_dir="$place/data" --sheet=6
"$ksac" predict --workdir="$place/run" --images="$place/raw/images/val" --output_dir="$place/predictions" --overwrite
"$ksac" export --workdir="$place/run" --output="$place/saved_model" --overwrite

"$VENV/bin/python" - "$place" <<'PYTHON'
import json
import pathlib
import sys

place = pathlib.Path(sys.argv[1]).resolve()
figures = json.loads((place / "run/eval_scenes_val.json").read_text())
print(f"""
mIoU          {figures["miou"]:.4f} on the validation split of the generated scenes
picture sheet {place / "run/eval_scenes_val.png"}
predictions   {place / "predictions"}
SavedModel    {place / "saved_model"}
TensorBoard   {place / "run"}""")
PYTHON
