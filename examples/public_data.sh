#!/usr/bin/env bash
# The three steps on real public data, with a small model from scratch: pretraining text -> demonstrations -> rankings
# -> PPO-ptx. Every line can be killed and started again. Usage: examples/public_data.sh DATA RUNS
set -euo pipefail
data=$1 runs=$2
text=$data/pretrain/pretrain_train.jsonl.gz
demonstrations=$data/demonstrations/demos_human_train.jsonl.gz
rankings="$data/preferences/hh_train.jsonl.gz $data/preferences/kwise_oasst_human.jsonl.gz"
rankings="$rankings $data/preferences/kwise_alpacaeval_train.jsonl.gz"
small="--recipe small"

assent pretrain $small --text "$text" --validation-text "$data/pretrain/pretrain_valid.jsonl.gz" --run "$runs/base"
assent sft $small --model "$runs/base/model" --data "$demonstrations" \
  --validation "$data/demonstrations/demos_human_test.jsonl.gz" --run "$runs/sft"
assent init $small --model "$runs/base/model" --data "$demonstrations" --pretraining "$text" \
  --validation "$data/demonstrations/demos_human_test.jsonl.gz" --run "$runs/init"
# shellcheck disable=SC2086
assent reward $small --model "$runs/sft/model" --data $rankings --demonstrations "$demonstrations" \
  --validation "$data/preferences/hh_test.jsonl.gz" --run "$runs/reward"
assent ppo $small --model "$runs/init/model" --reward "$runs/reward/model" --pretraining "$text" \
  --prompts "$data/prompts/rl_prompts_train.jsonl.gz" --validation "$data/prompts/rl_prompts_test.jsonl.gz" \
  --run "$runs/ppo"
for name in base sft init ppo; do
  assent sample --model "$runs/$name/model" --name "$name" --prompts "$data/prompts/rl_prompts_test.jsonl.gz" --answering.count 16 \
    --answering.limits.response 48 --run "$runs/sample-$name"
done
assent report "$runs"/{base,sft,init,reward,ppo} "$runs"/sample-{base,sft,init,ppo} --output "$runs/report.html"
