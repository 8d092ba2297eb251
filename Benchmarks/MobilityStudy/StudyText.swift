/// What the report says between its tables; findings that change with the results are in the tables alone.
enum StudyText {
  static let introduction = """
    # The mobility study

    Counts of mobile phones in six regions of Paris, every half hour from 24 August to 4 November 2020, forecast half an hour
    ahead: the case of Arcolezi et al. 2022, "Differentially private multivariate time series forecasting of aggregated human
    mobility" (Neural Computing and Applications, doi 10.1007/s00521-022-07393-0). Written by `make study-mobility` from
    `Benchmarks/results/study-mobility.jsonl`, which has every run with its configuration; do not edit.

    The data are those of the demo (`jobs/demo/data/mobility-paris.csv.gz`, 3456 rows; the day 17 September is missing, and six
    windows reach across the gap, as in the paper). The first 3120 rows, 65 days, are to learn from, the last 336, a week, to
    test. A window reads the six regions for six half hours, with sine and cosine of the day and of 30 days, and predicts all
    six regions. Predictions below 0 count as 0. RMSE and MAE are those of the six regions, averaged.
    """

  static let partA = """
    ## A. Without privacy

    The paper's settings: raw counts without scaling; one recurrent layer with rectifiers in place of tanh, started as Keras
    starts it; mean absolute error, Adam, 100 epochs, batches in the order of time, the last weights. The paper chose its settings
    by 100 trials on the test week and prints the best of 10 runs; so "best" is what compares with its rows, and both are
    flattering. Mean and sd say what one training gives. The row "notebook" is the one run that the paper's released notebook
    prints, with other settings and 10 epochs, from one seed: both programs do the same if its error is among ours.

    Rows with "changes" are the same networks on the same windows, trained as a forecaster would: counts divided by the public
    size of a region (part C), outputs that are added to the last count, 40 epochs of batches of 16 at a learning rate that falls
    from 0.002 by half a cosine, 175 units everywhere. These settings are the best of a small grid for days 58 to 65; the
    test week had no part in them.
    """

  static let partB = """
    ## B. Input perturbation

    BiGRU with the paper's settings, after Gaussian noise on every count of every region and half hour, rounded: inputs and
    targets to learn from, and inputs in the test week; the targets of the test week are as they are. Who holds the noisy table
    knows no more of a person than epsilon allows, whatever is computed from it. Rows with "changes" as in part A, with the
    settings of that part.

    Epsilon is for all 3120 half hours of the learning part together, at delta 1e-5, composed exactly: for a person who is counted in at
    most one region per half hour (sensitivity 1), and for one whose count may move from a region to another (√2). The paper
    adds up the epsilons of the half hours instead, to 98.9 to 202.8.
    """

  static let partC = """
    ## C. DP-SGD

    Poisson sampling, clipping, noise from the operating system's key, and the accountant's epsilon at delta 1e-5. What is assumed
    to be public: that there are 65 days of 48 half hours, how large a region is to one digit (200,000, 20,000 and 10,000
    people, which scale everything), how fast counts change (hundredths of that in half an hour), the hour of the day.

    The model is linear: the next change of each region, from the last change of all regions and four harmonics of the day. With
    all weights 0 it is persistence; 90 weights leave the noise little to spoil. It reads two half hours only, so that a
    half hour is in three windows and not in seven. Weights are averaged over the last quarter of the steps.

    Units, weakest first:

    - *window*: one pair of inputs and target. A half hour is in three of them: this is what the paper claims for its "gradient
      perturbation", and says little to a person.
    - *slot*: all counts of one half hour, with the three windows that have them. Nothing is sampled: at sampling rate 1
      the three windows together move a sum by at most three clipping norms, and the account is exact. The other way, cutting time
      into blocks and clipping each block's mean gradient once, is dearer here: with blocks of six the noise on the mean over all
      windows is that of six clipping norms in place of three, a block's mean is not half as long as a window's gradient, and the
      windows across the cuts, a third of all, are lost.
    - *day*: all counts of a day; windows across midnight are left out, and a day's mean gradient is clipped once, so that a
      day is drawn as a whole. There are only 65 of them.

    None of these hides a person who is counted day after day; part B does. The paper's rows for gradient perturbation (RMSE 1221.2
    to 1231.3) are no target: its notebook adds no noise, and with the noise it prints the error is about 28,000.
    """

  static let partD = """
    ## D. DP-FTRL

    The same model and units with correlated noise and without sampling: days take turns, one of every "cycle" steps sees a
    day, and the noise of a step cancels part of that of the steps before.
    """

  static let tuning = """
    ## What was tuned, and on what

    Schedule, steps, learning rate and clipping norm of parts C and D are the best of a grid, one run each, for days 58 to 65
    after learning from days 1 to 57 (`mobility-study tune`), and so are those of the rows with "changes", two runs each
    (`mobility-study tune --networks --runs 2`, after a first look at two dozen settings around it). The test week was not kept out of sight altogether: errors of
    linear models by lags and harmonics were once printed for it beside those of days 58 to 65 before two lags and four
    harmonics were settled, and a prototype with nearly these settings was run on it; no setting was changed after that. The
    comparison on days 58 to 65 itself is not private: the guarantee of parts C and D holds as if these eight days had been public when the settings were chosen, and where
    they are not, a job takes its settings from elsewhere or pays for the choice.
    """

  static let everyRun = """
    Networks of parts A and B start from seeds 1 to 10. The noise of parts B, C and D has no seed: run again, it is other noise.
    """
}
