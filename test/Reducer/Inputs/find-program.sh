# find-program.sh FILE: the first random program of 100 to 200 lines in which the bug of
# planted.sh shows, on one rank. What a seed gives changes with the generator.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
set -euo pipefail
for seed in $(seq 1 200); do
  te-gen --random --seed="$seed" -o "$1"
  lines=$(wc -l <"$1")
  ((lines >= 100 && lines <= 200)) || continue
  ! grep -q te.combine "$1" || continue
  bash "$(dirname "$0")/planted.sh" <"$1" >/dev/null 2>&1 || exit 0
done
echo "no such program among 200 seeds"
exit 1
