# SPDX-License-Identifier: GPL-2.0
# The pictures of scripts/bench, from what report.awk left in the folder `dir`. A part that
# was not measured has no data, and no picture.

set terminal svg size 1000,560 font 'sans,14' background '#ffffff' noenhanced
load dir . '/state.gp'
has(name) = system("[ -s '" . dir . "/" . name . "' ] && echo 1 || echo 0") + 0
base = '#d62728'
off = '#ff9f4a'
on = '#2ca02c'
set style line 1 lc rgb base lw 2 pt 7 ps 0.8
set style line 2 lc rgb off lw 2 pt 5 ps 0.8
set style line 3 lc rgb on lw 2 pt 9 ps 0.9
set border 3
set tics nomirror
set grid y lc rgb '#dddddd'
set style data histograms
set style histogram clustered gap 1
set style fill solid noborder
set boxwidth 0.9
# On a logarithmic axis nothing is a bar of no height.
at(x) = x > 0 ? x : 0.7

if (has('interruptions')) {
	set output dir . '/bench-interruptions.svg'
	set title 'Flush callbacks that reached two isolated CPUs, by load (median of the rounds)'
	set logscale y
	set yrange [0.7:*]
	set format y '%g'
	set ylabel 'flush callbacks (none: no bar)'
	set key outside top center horizontal
	plot dir . '/interruptions' using (at($2)):xtic(1) title 'base' lc rgb base, \
		'' using (at($3)) title 'series, off' lc rgb off, \
		'' using (at($4)) title 'series, ' . on_name lc rgb on, \
		'' using ($0 - 0.25):($2 * 1.25 + 0.8):2 with labels font ',10' notitle, \
		'' using ($0):($3 * 1.25 + 0.8):3 with labels font ',10' notitle, \
		'' using ($0 + 0.25):($4 * 1.25 + 0.8):4 with labels font ',10' notitle
	unset logscale
	set yrange [0:*]
}

if (has('gaps-base')) {
	set output dir . '/bench-gaps.svg'
	set title 'oslat on an isolated CPU while there are purges: gaps of at least that length (emulated)'
	set logscale xy
	set xrange [5:1100]
	set yrange [*:*]
	set xlabel 'length of the gap, us (1024: that, or longer)'
	set ylabel 'gaps for each second'
	set grid x y
	set key outside top center horizontal
	plot for [i=1:3] dir . '/gaps-' . word('base off on', i) using 2:3 with fsteps ls i title i == 3 ? on_name : word('base off', i)
	unset logscale
	unset xlabel
	set xrange [*:*]
	set yrange [0:*]
	set grid nox
}

if (has('entry')) {
	set output dir . '/bench-entry.svg'
	set title 'Instructions in entry and exit on a CPU in nohz_full='
	set ylabel 'instructions'
	set key outside top center horizontal
	set yrange [0:*]
	set xtics rotate by -30
	set datafile separator '\t'
	plot dir . '/entry' using 2:xtic(1) title 'base' lc rgb base, \
		'' using 3 title on_name . ', nothing pending' lc rgb on, \
		'' using 4 title on_name . ', a flush pending' lc rgb '#1f77b4', \
		'' using ($0 - 0.25):2:2 with labels offset 0,0.6 font ',9' notitle, \
		'' using ($0):3:3 with labels offset 0,0.6 font ',9' notitle, \
		'' using ($0 + 0.25):4:4 with labels offset 0,0.6 font ',9' notitle
	set datafile separator whitespace
	set xtics norotate
}

if (has('sender-fresh-on')) {
	set output dir . '/bench-sender.svg'
	set title "Instructions of a purge's flush at its sender, without the wait"
	set logscale xy
	set xlabel 'isolated CPUs'
	set ylabel 'instructions'
	set xrange [0.9:70]
	set yrange [200:*]
	set xtics (1, 2, 4, 8, 16, 32, 62)
	set grid x y
	set key outside top center horizontal
	plot dir . '/sender-fresh-base' with linespoints ls 1 title 'base (waits for the acknowledgements besides)', \
		dir . '/sender-fresh-off' with linespoints ls 2 title 'series, off (waits besides)', \
		dir . '/sender-kernel-on' with linespoints ls 3 dt 2 title on_name . ', all CPUs in the kernel (waits besides)', \
		dir . '/sender-fresh-on' with linespoints ls 3 title on_name . ', all CPUs in user mode (no wait)', \
		dir . '/sender-pending-on' with linespoints ls 3 dt 3 title on_name . ', a flush already pending (no wait)'
	unset logscale
	unset xlabel
	set xrange [*:*]
	set yrange [0:*]
	set xtics autofreq
	set grid nox
}

if (has('storm')) {
	set output dir . '/bench-storm.svg'
	set title 'A task that enters the kernel all the time: its instructions for each purge'
	set ylabel 'instructions for each purge'
	set key outside top center horizontal
	set datafile separator '\t'
	plot dir . '/storm' using 2:xtic(1) title 'off: an interrupt each' lc rgb off, \
		'' using 3 title on_name . ': flushes at entry, interrupts in the kernel' lc rgb on, \
		'' using ($0 - 0.17):2:2 with labels offset 0,0.6 font ',10' notitle, \
		'' using ($0 + 0.17):3:3 with labels offset 0,0.6 font ',10' notitle
}

if (has('coalescing')) {
	set datafile separator '\t'
	set output dir . '/bench-coalescing.svg'
	set title 'Flushes that were left to isolated CPUs, and what they did for them'
	set logscale y
	set yrange [0.7:*]
	set ylabel 'flushes (none: no bar)'
	set xtics rotate by -30
	plot dir . '/coalescing' using (at($2)):xtic(1) title 'deferred, ' . on_name lc rgb on, \
		'' using (at($3)) title 'done at entry' lc rgb '#1f77b4', \
		'' using ($0 - 0.17):($2 * 1.25 + 0.8):2 with labels font ',10' notitle, \
		'' using ($0 + 0.17):($3 * 1.25 + 0.8):3 with labels font ',10' notitle
}
